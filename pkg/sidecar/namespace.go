package sidecar

import (
	"os"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// serviceAccountNamespace is the file that tells a pod its namespace.
const serviceAccountNamespace = "/var/run/secrets/kubernetes.io/serviceaccount/namespace"

// namespace is that in which this process runs; outside of a cluster, that of
// the lease.
func (p *process) namespace() string {
	if own := p.config.Journal.Namespace; own != "" {
		return own
	}
	if content, err := os.ReadFile(serviceAccountNamespace); err == nil {
		return strings.TrimSpace(string(content))
	}
	if lease := p.config.LeaderElection.Namespace; lease != "" {
		return lease
	}
	return metav1.NamespaceDefault
}
