package stage

import (
	"fmt"

	"k8s.io/client-go/tools/clientcmd"

	"github.com/csi-provisioner/csi-provisioner/test/e2e/proxy"
)

// Proxy starts a proxy between a sidecar and the API server, with the rights of
// the sidecar's service account. The caller closes it.
func (s *Stage) Proxy() (*proxy.Proxy, error) {
	config, err := clientcmd.BuildConfigFromFlags("", s.kubeconfig)
	if err != nil {
		return nil, fmt.Errorf("reading the sidecar's kubeconfig: %w", err)
	}
	return proxy.Start(config)
}

// Through returns the flag by which StartSidecar has a sidecar use the proxy.
func Through(p *proxy.Proxy) string { return "--master=" + p.URL() }
