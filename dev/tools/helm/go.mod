// Helm, which installs the operator's chart.
module logistics-platform.io/dev/tools/helm

go 1.25.0

require helm.sh/helm/v3 v3.22.0

tool helm.sh/helm/v3/cmd/helm
