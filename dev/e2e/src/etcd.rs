//! Everything that the API server has stored, read from its etcd.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::os::fd::AsFd as _;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use dev_cluster::Cluster;
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
use serde::Deserialize;
use serde_json::json;

/// Objects of one page.
const PAGE: u32 = 200;
const TIMEOUT: Duration = Duration::from_secs(20);
const PREFIX: &str = "/registry/";
/// The first key after all that begin with the prefix.
const END: &str = "/registry0";

/// A key and its value.
#[derive(Clone, Debug)]
pub struct Entry {
    /// For example `/registry/configmaps/default/a`.
    pub key: String,
    /// As it is stored: Protobuf or JSON.
    pub value: Vec<u8>,
}

#[derive(Deserialize)]
struct Page {
    #[serde(default)]
    kvs: Vec<Pair>,
    #[serde(default)]
    more: bool,
}

#[derive(Deserialize)]
struct Pair {
    key: String,
    #[serde(default)]
    value: String,
}

/// Reads every object of the cluster, as it is now.
pub fn read(cluster: &Cluster) -> Result<Vec<Entry>> {
    let cluster = cluster.clone();
    // etcd listens inside the cluster's network only; a thread of its own goes there.
    let reader = std::thread::spawn(move || {
        let namespace = File::open(cluster.netns())?;
        move_into_link_name_space(namespace.as_fd(), Some(LinkNameSpaceType::Network))
            .context("enter the cluster's network")?;
        let mut entries: Vec<Entry> = Vec::new();
        let mut from = PREFIX.as_bytes().to_vec();
        loop {
            let page = page(cluster.etcd(), &from)?;
            for pair in page.kvs {
                let key = STANDARD.decode(pair.key)?;
                from = [key.as_slice(), &[0]].concat();
                entries.push(Entry {
                    key: String::from_utf8_lossy(&key).into_owned(),
                    value: STANDARD.decode(pair.value)?,
                });
            }
            if !page.more {
                return Ok(entries);
            }
        }
    });
    reader
        .join()
        .ok()
        .context("the thread that reads etcd ended early")?
}

fn page(etcd: &str, from: &[u8]) -> Result<Page> {
    let address = etcd.trim_start_matches("http://");
    let body =
        json!({"key": STANDARD.encode(from), "range_end": STANDARD.encode(END), "limit": PAGE}).to_string();
    let mut stream = TcpStream::connect(address).with_context(|| format!("connect to etcd at {address}"))?;
    stream.set_read_timeout(Some(TIMEOUT))?;
    // With HTTP/1.0 the answer ends with the connection.
    write!(
        stream,
        "POST /v3/kv/range HTTP/1.0\r\nHost: {address}\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    let (head, body) = answer
        .split_once("\r\n\r\n")
        .context("etcd's answer has no body")?;
    ensure!(head.contains(" 200 "), "etcd: {head}: {body}");
    serde_json::from_str(body).context("etcd's answer")
}
