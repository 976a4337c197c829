//! The cluster's own network namespace, and the pair of interfaces that ties it to the host.
//!
//! Each cluster takes one number N and with it three networks that no other cluster has: 10.213.N.0/24 for the
//! node and the host, 10.214.N.0/24 for pods, 10.215.N.0/24 for Services. The host has routes to all three, so that
//! tests reach pods and Services by address. Every firewall rule is inside the namespace.

use std::path::Path;
use std::process::Command;

use anyhow::{Result, bail};
use dev_tools::FileLock;

use crate::Cluster;
use crate::command::output;

const NODE_BLOCK: &str = "10.213";
const POD_BLOCK: &str = "10.214";
const SERVICE_BLOCK: &str = "10.215";
/// Held while a free number is looked for and taken; one for the machine, whatever the caches.
const LOCK: &str = "/run/logistics-platform/network.lock";

/// The addresses of one cluster.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Network {
    number: u8,
}

impl Network {
    #[cfg(test)]
    pub(crate) fn with_number(number: u8) -> Self {
        Self { number }
    }

    /// The host's end of the pair: where pods reach a listener on the host.
    #[must_use]
    pub fn host_ip(self) -> String {
        self.address(NODE_BLOCK, 1)
    }

    /// The node: API server and node ports.
    #[must_use]
    pub fn node_ip(self) -> String {
        self.address(NODE_BLOCK, 2)
    }

    /// The addresses of pods.
    #[must_use]
    pub fn pods(self) -> String {
        self.block(POD_BLOCK)
    }

    /// The addresses of Services.
    #[must_use]
    pub fn services(self) -> String {
        self.block(SERVICE_BLOCK)
    }

    /// The API server's Service.
    #[must_use]
    pub fn kubernetes_ip(self) -> String {
        self.address(SERVICE_BLOCK, 1)
    }

    /// The DNS server's Service.
    #[must_use]
    pub fn dns_ip(self) -> String {
        self.address(SERVICE_BLOCK, 10)
    }

    fn address(self, block: &str, host: u8) -> String {
        format!("{block}.{}.{host}", self.number)
    }

    fn block(self, block: &str) -> String {
        format!("{block}.{}.0/24", self.number)
    }

    /// Makes the namespace and its interfaces with a free number.
    pub(crate) fn create(cluster: &Cluster) -> Result<Self> {
        let _lock = FileLock::acquire(Path::new(LOCK), || {})?;
        let taken = output(Command::new("ip").args(["-4", "route", "show", "table", "all"]))?;
        let preferred = u8::from_str_radix(&cluster.name()[3..5], 16).unwrap_or_default();
        let Some(network) = free(preferred, &taken) else {
            bail!("all 256 networks below {NODE_BLOCK}.0.0/16 are in use on this host (`ip route`)");
        };
        network.connect(cluster.name())?;
        Ok(network)
    }

    fn connect(self, name: &str) -> Result<()> {
        let (host, node) = (self.host_ip(), self.node_ip());
        let (host_net, node_net) = (format!("{host}/24"), format!("{node}/24"));
        let (pods, services) = (self.pods(), self.services());
        let steps: [&[&str]; 10] = [
            &["netns", "add", name],
            &[
                "link", "add", name, "type", "veth", "peer", "name", "eth0", "netns", name,
            ],
            &["address", "add", &host_net, "dev", name],
            &["link", "set", name, "up"],
            &["-n", name, "address", "add", &node_net, "dev", "eth0"],
            &["-n", name, "link", "set", "eth0", "up"],
            &["-n", name, "link", "set", "lo", "up"],
            &["-n", name, "route", "add", "default", "via", &host],
            &["route", "add", &pods, "via", &node, "dev", name],
            &["route", "add", &services, "via", &node, "dev", name],
        ];
        for step in steps {
            output(Command::new("ip").args(step))?;
        }
        inside(name, "sysctl", &["-qw", "net.ipv4.ip_forward=1"])
    }
}

/// Runs a short command inside the namespace.
fn inside(name: &str, program: &str, args: &[&str]) -> Result<()> {
    output(
        Command::new("nsenter")
            .arg(format!("--net=/run/netns/{name}"))
            .arg(program)
            .args(args),
    )
    .map(drop)
}

/// The first number from `preferred` on that no route uses.
fn free(preferred: u8, routes: &str) -> Option<Network> {
    (0..=u8::MAX)
        .map(|step| Network {
            number: preferred.wrapping_add(step),
        })
        .find(|network| {
            [NODE_BLOCK, POD_BLOCK, SERVICE_BLOCK]
                .iter()
                .all(|block| !routes.contains(&format!("{block}.{}.", network.number)))
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_used_network_is_passed_over() {
        let routes = "default via 192.0.2.1\n10.213.7.0/24 dev lp-1\n10.214.8.0/24 via 10.213.7.2\n";
        assert_eq!(free(7, routes), Some(Network { number: 9 }));
        assert_eq!(free(6, routes), Some(Network { number: 6 }));
    }

    #[test]
    fn the_search_goes_round_and_ends() {
        assert_eq!(free(255, "10.213.255.0/24"), Some(Network { number: 0 }));
        let all: String = (0..=255).fold(String::new(), |all, n| all + &format!("10.213.{n}.0/24\n"));
        assert_eq!(free(3, &all), None);
    }

    #[test]
    fn addresses_follow_the_number() {
        let network = Network { number: 5 };
        assert_eq!(network.node_ip(), "10.213.5.2");
        assert_eq!(network.services(), "10.215.5.0/24");
        assert_eq!(network.dns_ip(), "10.215.5.10");
    }
}
