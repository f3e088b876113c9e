//! `parlour-room`: the room service as a process of its own.

use std::process::ExitCode;

use parlour_chassis::{signals, system, tasks::Tasks, telemetry};
use parlour_room::{app::App, config::Config};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[tokio::main]
pub(crate) async fn main() -> anyhow::Result<ExitCode> {
    let (config, warnings) = match Config::of_process() {
        Ok(read) => read,
        Err(mistakes) => return Ok(mistakes.report()),
    };
    telemetry::init_logs(&config.log, config.log_format);
    telemetry::metrics();
    for warning in warnings {
        tracing::warn!("{warning}");
    }
    run(config).await?;
    Ok(ExitCode::SUCCESS)
}

async fn run(config: Config) -> anyhow::Result<()> {
    system::prepare();
    let stop = signals::token(&Tasks::new())?;
    let app = App::build(config).await?;
    let addrs = app.addrs()?;
    tracing::info!(grpc = %addrs.grpc, "the room service is up");
    app.run(stop).await
}
