// CoreDNS of the development cluster.
module logistics-platform.io/dev/tools/coredns

go 1.25.0

require github.com/coredns/coredns v1.15.0

tool github.com/coredns/coredns
