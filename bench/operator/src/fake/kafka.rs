//! A Kafka cluster of one broker, as far as its administration goes.

mod topics;

use std::sync::Arc;

use anyhow::{Context, Result, bail, ensure};
use bytes::{Buf, BufMut, Bytes, BytesMut};
use kafka_protocol::messages::api_versions_response::ApiVersion;
use kafka_protocol::messages::{
    ApiKey, ApiVersionsResponse, CreateTopicsRequest, DescribeConfigsRequest, IncrementalAlterConfigsRequest,
    MetadataRequest, RequestHeader, ResponseHeader,
};
use kafka_protocol::protocol::{Decodable, Encodable};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use self::topics::Topics;
use super::Counter;

/// The requests that are understood, with the versions of each.
const UNDERSTOOD: [(ApiKey, i16, i16); 5] = [
    (ApiKey::ApiVersions, 0, 3),
    (ApiKey::Metadata, 4, 12),
    (ApiKey::CreateTopics, 2, 7),
    (ApiKey::DescribeConfigs, 1, 4),
    (ApiKey::IncrementalAlterConfigs, 0, 1),
];

/// The error code of a version that is not understood.
const UNSUPPORTED_VERSION: i16 = 35;

/// Longest request.
const LIMIT: usize = 32 << 20;

/// A running cluster; it ends with the runtime.
pub(crate) struct Kafka {
    /// `host:port`.
    pub(crate) bootstrap_servers: String,
    shared: Arc<Shared>,
}

struct Shared {
    topics: Topics,
    requests: Counter,
}

/// Starts a cluster.
pub(crate) async fn start() -> Result<Kafka> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    let shared = Arc::new(Shared {
        topics: Topics::new(address.port()),
        requests: Counter::default(),
    });
    let kafka = Kafka {
        bootstrap_servers: address.to_string(),
        shared: Arc::clone(&shared),
    };
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let shared = Arc::clone(&shared);
            tokio::spawn(async move {
                if let Err(error) = serve(stream, &shared).await {
                    eprintln!("the counting Kafka: {error:#}");
                }
            });
        }
    });
    Ok(kafka)
}

impl Kafka {
    /// Requests so far.
    pub(crate) fn requests(&self) -> u64 {
        self.shared.requests.total()
    }

    /// Topics so far.
    pub(crate) fn topics(&self) -> usize {
        self.shared.topics.len()
    }
}

async fn serve(mut stream: TcpStream, shared: &Shared) -> Result<()> {
    stream.set_nodelay(true)?;
    loop {
        let mut length = [0; 4];
        if stream.read_exact(&mut length).await.is_err() {
            // The client is gone.
            return Ok(());
        }
        let length = usize::try_from(i32::from_be_bytes(length))?;
        ensure!(length <= LIMIT, "a request of {length} bytes");
        let mut request = vec![0; length];
        stream.read_exact(&mut request).await?;
        let answer = answer(request.into(), shared)?;
        stream.write_all(&answer).await?;
    }
}

fn answer(mut request: Bytes, shared: &Shared) -> Result<BytesMut> {
    let (key, version) = {
        let mut start = request.clone();
        ensure!(start.len() >= 8, "a request of {} bytes", start.len());
        (start.get_i16(), start.get_i16())
    };
    let Ok(key) = ApiKey::try_from(key) else {
        bail!("request {key} is not known")
    };
    let understood = UNDERSTOOD.iter().find(|(known, ..)| *known == key);
    let Some((_, _, newest)) = understood else {
        bail!("request {key:?} is not understood")
    };
    let header = RequestHeader::decode(&mut request, key.request_header_version(version))
        .with_context(|| format!("header of {key:?}"))?;
    shared.requests.count(format!("{key:?}"));
    let mut body = BytesMut::new();
    let mut answered = version;
    match key {
        // The answer to a version that is not understood is one of the first version.
        ApiKey::ApiVersions => {
            let mut versions = api_versions();
            if version > *newest {
                answered = 0;
                versions = versions.with_error_code(UNSUPPORTED_VERSION);
            }
            versions.encode(&mut body, answered)?;
        }
        ApiKey::Metadata => {
            let asked = MetadataRequest::decode(&mut request, version)?;
            shared.topics.describe(&asked).encode(&mut body, version)?;
        }
        ApiKey::CreateTopics => {
            let asked = CreateTopicsRequest::decode(&mut request, version)?;
            shared.topics.create(asked).encode(&mut body, version)?;
        }
        ApiKey::DescribeConfigs => {
            let asked = DescribeConfigsRequest::decode(&mut request, version)?;
            shared.topics.configs(&asked).encode(&mut body, version)?;
        }
        _ => {
            let asked = IncrementalAlterConfigsRequest::decode(&mut request, version)?;
            shared.topics.alter(asked).encode(&mut body, version)?;
        }
    }
    let mut answer = BytesMut::new();
    answer.put_i32(0);
    ResponseHeader::default()
        .with_correlation_id(header.correlation_id)
        .encode(&mut answer, key.response_header_version(answered))?;
    answer.unsplit(body);
    let length = u32::try_from(answer.len() - 4)?;
    answer[..4].copy_from_slice(&length.to_be_bytes());
    Ok(answer)
}

fn api_versions() -> ApiVersionsResponse {
    let understood = UNDERSTOOD.iter().map(|(key, oldest, newest)| {
        ApiVersion::default()
            .with_api_key(*key as i16)
            .with_min_version(*oldest)
            .with_max_version(*newest)
    });
    ApiVersionsResponse::default().with_api_keys(understood.collect())
}
