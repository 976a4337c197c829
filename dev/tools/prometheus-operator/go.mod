// The custom resources of the Prometheus operator: files only, nothing is compiled.
module logistics-platform.io/dev/tools/prometheus-operator

go 1.26.0

require github.com/prometheus-operator/prometheus-operator v0.94.1 // indirect
