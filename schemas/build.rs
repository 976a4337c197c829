//! Generates the gRPC code from `proto/`, without needing a `protoc` on the machine.

#[cfg(feature = "grpc")]
fn main() -> Result<(), Box<dyn std::error::Error>> {
    use prost::Message as _;

    println!("cargo:rerun-if-changed=proto");
    let services = [
        "proto/logistics/shipment/v1/shipment_service.proto",
        "proto/logistics/tracking/v1/tracking_service.proto",
        "proto/logistics/analytics/v1/analytics_service.proto",
    ];
    let descriptors = protox::compile(services, ["proto"])?;
    let out = std::path::PathBuf::from(std::env::var("OUT_DIR")?);
    std::fs::write(out.join("descriptors.bin"), descriptors.encode_to_vec())?;
    tonic_prost_build::configure()
        .include_file("services.rs")
        .compile_fds(descriptors)?;
    Ok(())
}

#[cfg(not(feature = "grpc"))]
fn main() {}
