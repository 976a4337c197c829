//! A real Kubernetes cluster with its backing services on one Linux machine.
