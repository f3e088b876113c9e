//! The gateway's process: parse, init, build, run.

use std::process::ExitCode;

use anyhow::Context as _;
use parlour_chassis::{signals, system, tasks::Tasks, telemetry};
use parlour_gateway::{app::App, config::Config};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> anyhow::Result<ExitCode> {
    let (config, warnings) = match Config::of_process() {
        Ok(read) => read,
        Err(mistakes) => return Ok(mistakes.report()),
    };
    telemetry::init_logs(&config.log, config.log_format);
    for warning in warnings {
        tracing::warn!("{warning}");
    }
    system::prepare();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    runtime.context("the system gives no threads")?.block_on(run(config))
}

async fn run(config: Config) -> anyhow::Result<ExitCode> {
    let stop = signals::token(&Tasks::new()).context("signals cannot be handled")?;
    let app = App::build(config).await?;
    let addrs = app.addrs();
    tracing::info!(gateway = %addrs.gateway, admin = ?addrs.admin, "serving");
    app.run(stop).await;
    Ok(ExitCode::SUCCESS)
}
