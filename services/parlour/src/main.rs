//! `parlour`: both services in one process, on SQLite unless told otherwise.
//!
//! Owns nothing but their wiring. Promises that the gateway calls the same service that the gRPC port serves, without
//! a connection and with a token made at each start. Never holds a rule.

use std::{io::Write as _, net::SocketAddr, process::ExitCode};

use anyhow::Context as _;
use parlour_chassis::{
    admin,
    settings::{Mistakes, Secret, Source},
    signals, system,
    tasks::Tasks,
    telemetry,
};
use parlour_feed::planted;
use parlour_gateway::upstream::Target;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// The settings of both services.
struct Config {
    room: parlour_room::config::Config,
    gateway: parlour_gateway::config::Config,
    admin_listen: Option<SocketAddr>,
}

#[tokio::main]
async fn main() -> anyhow::Result<ExitCode> {
    let (config, warnings) = match read() {
        Ok(read) => read,
        Err(mistakes) => return Ok(mistakes.report()),
    };
    telemetry::init_logs(&config.room.log, config.room.log_format);
    telemetry::metrics();
    for warning in warnings {
        tracing::warn!("{warning}");
    }
    run(config).await?;
    Ok(ExitCode::SUCCESS)
}

/// Reads the settings that both services share; where the room service is, and the service token, are made here.
fn read() -> Result<(Config, Vec<String>), Mistakes> {
    let command = clap::Command::new("parlour")
        .version(planted::version(env!("CARGO_PKG_VERSION")))
        .about("Rooms for the web: the room service and the gateway in one process");
    let tables = [parlour_room::config::SETTINGS, parlour_gateway::config::SETTINGS];
    let mut source = Source::of_process(command, &tables, &[]);
    let mut room = parlour_room::config::Config::read(&mut source);
    let mut gateway = parlour_gateway::config::Config::read(&mut source);
    let mut warnings = source.finish()?;
    warnings.extend(room.warnings());
    let token = Secret::new(uuid::Uuid::new_v4().simple().to_string());
    room.service_token = Some(token.clone());
    gateway.service_token = Some(token);
    let admin_listen = room.admin_listen.take();
    gateway.admin_listen = None;
    Ok((Config { room, gateway, admin_listen }, warnings))
}

async fn run(mut config: Config) -> anyhow::Result<()> {
    system::prepare();
    let process = Tasks::new();
    let stop = signals::token(&process)?;
    let store = config.room.store.clone();
    let room = parlour_room::app::App::build(config.room).await?;
    let grpc = room.addrs()?.grpc;
    config.gateway.room = Target::InProcess(room.routes());
    let gateway = parlour_gateway::app::App::build(config.gateway).await?;
    let web = gateway.addrs().gateway;

    let readiness = both(room.readiness(), gateway.readiness());
    let room_stop = CancellationToken::new();
    let mut room_task = process.spawn(room.run(room_stop.clone()));
    if let Some(address) = config.admin_listen {
        let listener =
            TcpListener::bind(address).await.with_context(|| format!("cannot listen on {address}"))?;
        process.spawn(admin::serve(listener, readiness, process.drain().clone()));
    }
    say_where(web, grpc, store.expose())?;

    // The browsers leave first: they need the room service to the end.
    tokio::select! {
        () = gateway.run(stop) => {}
        ended = &mut room_task => {
            ended.context("the room service panicked")?.unwrap_or(Ok(()))?;
            anyhow::bail!("the room service ended by itself");
        }
    }
    room_stop.cancel();
    let ended = room_task.await.context("the room service panicked")?;
    process.drain().cancel();
    ended.unwrap_or(Ok(()))
}

/// Ready is who has both halves ready.
fn both(room: admin::Readiness, gateway: admin::Readiness) -> admin::Readiness {
    std::sync::Arc::new(move || room().and_then(|()| gateway()))
}

/// The address under which a listener is reached from this machine.
fn reached(mut listener: SocketAddr) -> SocketAddr {
    if listener.ip().is_unspecified() {
        listener.set_ip(if listener.is_ipv4() {
            [127, 0, 0, 1].into()
        } else {
            std::net::Ipv6Addr::LOCALHOST.into()
        });
    }
    listener
}

/// Prints the page's address and a grpcurl line that works as it stands.
fn say_where(web: SocketAddr, grpc: SocketAddr, store: &str) -> std::io::Result<()> {
    let host = if web.ip().is_loopback() || web.ip().is_unspecified() {
        "localhost".to_owned()
    } else {
        web.ip().to_string()
    };
    let grpc = reached(grpc);
    let mut out = std::io::stdout().lock();
    writeln!(out, "Parlour is open at http://{host}:{}", web.port())?;
    if let Some(path) = store.strip_prefix("sqlite:") {
        writeln!(out, "It is kept in {path}")?;
    }
    writeln!(
        out,
        "Speak to it:  grpcurl -plaintext -d '{{\"room\":\"general\",\"content\":\"hello\"}}' {grpc} \
         parlour.room.v1.RoomService/SendMessage"
    )?;
    out.flush()
}
