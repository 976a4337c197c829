//! `dev-load`: see `dev-load --help`.

use std::net::IpAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, Result};
use clap::{Parser, ValueEnum};
use dev_load::{Call, ClusterDns, Plan, run};
use logistics_client::Settings;
use tonic::transport::{Certificate, ClientTlsConfig};

const FAILED_CALLS: u8 = 3;

const AFTER: &str = "\
Exit codes:
  0  every call succeeded
  1  something could not be done (the message says what)
  2  wrong usage
  3  some calls failed (the report says how)

Example:
  dev-load --target acme-tracking-pods.logistics.svc.cluster.local:8080 --dns 10.215.7.10 \\
    --call get-projection --rate 200 --duration-seconds 60 --token-file token -o json";

/// Calls a workload at a steady rate, balanced over its pods, and reports which pod answered how much.
#[derive(Parser)]
#[command(version, about, after_help = AFTER)]
struct Cli {
    /// DNS name of a headless Service, and the pods' port.
    #[arg(long, value_name = "HOST:PORT", value_parser = target)]
    target: (String, u16),
    /// The cluster's DNS server [default: the system's resolver].
    #[arg(long, value_name = "ADDRESS")]
    dns: Option<IpAddr>,
    /// What is called.
    #[arg(long, value_enum)]
    call: Call,
    /// Calls a second.
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    rate: u32,
    /// How long.
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=3_600))]
    duration_seconds: u64,
    /// Most calls under way at one time.
    #[arg(long, default_value_t = 64, value_parser = clap::value_parser!(u16).range(1..=1_024))]
    concurrency: u16,
    /// File with the caller's token.
    #[arg(long)]
    token_file: PathBuf,
    /// Encrypt, and trust the authorities in this PEM file.
    #[arg(long)]
    ca_file: Option<PathBuf>,
    /// Form of the report.
    #[arg(short, long, value_enum, default_value_t = Output::Text)]
    output: Output,
}

#[derive(Clone, Copy, ValueEnum)]
enum Output {
    /// For people.
    Text,
    /// For programs.
    Json,
}

fn target(text: &str) -> Result<(String, u16), String> {
    let parsed = text
        .rsplit_once(':')
        .and_then(|(host, port)| Some((host.to_owned(), port.parse().ok()?)))
        .filter(|(host, port)| !host.is_empty() && *port != 0);
    parsed.ok_or_else(|| "give a name and a port, such as acme-tracking-pods.logistics.svc:8080".to_owned())
}

#[tokio::main]
async fn main() -> ExitCode {
    match work(Cli::parse()).await {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(FAILED_CALLS),
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Gives whether every call succeeded.
async fn work(cli: Cli) -> Result<bool> {
    // Another thread's would do as well.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let read =
        |path: &PathBuf| std::fs::read_to_string(path).with_context(|| format!("read {}", path.display()));
    let (host, port) = cli.target;
    let mut settings = Settings::new(host, port);
    if let Some(path) = &cli.ca_file {
        settings.tls = Some(ClientTlsConfig::new().ca_certificate(Certificate::from_pem(read(path)?)));
    }
    let plan = Plan {
        settings,
        call: cli.call,
        token: read(&cli.token_file)?,
        rate: cli.rate,
        duration: Duration::from_secs(cli.duration_seconds),
        concurrency: cli.concurrency.into(),
    };
    let report = run(&plan, ClusterDns::at(cli.dns)?).await?;
    match cli.output {
        Output::Json => println!("{}", serde_json::to_string_pretty(&report)?),
        Output::Text => print!("{}", report.text()),
    }
    Ok(report.ok == report.calls)
}
