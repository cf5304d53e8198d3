package cluster

import (
	"context"
	"fmt"
	"os"

	authenticationv1 "k8s.io/api/authentication/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/client-go/tools/clientcmd/api"
)

// KubeconfigFor writes a kubeconfig with exactly the rights of a service account,
// which exists, and returns its path. The token in it is good for the life of
// the cluster, or until the service account is deleted.
func (c *Cluster) KubeconfigFor(ctx context.Context, namespace, serviceAccount string) (string, error) {
	seconds := int64(lifetime.Seconds())
	request := &authenticationv1.TokenRequest{Spec: authenticationv1.TokenRequestSpec{ExpirationSeconds: &seconds}}
	answer, err := c.client.CoreV1().ServiceAccounts(namespace).CreateToken(ctx, serviceAccount, request, metav1.CreateOptions{})
	if err != nil {
		return "", fmt.Errorf("requesting a token for the service account %s/%s: %w", namespace, serviceAccount, err)
	}
	authority, err := os.ReadFile(c.pki("ca.crt"))
	if err != nil {
		return "", fmt.Errorf("reading the authority's certificate: %w", err)
	}
	name := namespace + "." + serviceAccount
	return c.kubeconfig(name), c.writeKubeconfig(name, authority, &api.AuthInfo{Token: answer.Status.Token})
}

// kubeconfig is the path of a client's kubeconfig.
func (c *Cluster) kubeconfig(name string) string { return c.path("kubeconfig", name) }

// writeKubeconfigs writes those of the administrator and of the components, each
// with the identity that the API server's built-in roles are for, and makes the
// administrator's client.
func (c *Cluster) writeKubeconfigs(ca *authority) error {
	type identity struct {
		name   string
		groups []string
	}
	identities := map[string]identity{
		"admin":           {name: "admin", groups: []string{"system:masters"}},
		ControllerManager: {name: "system:kube-controller-manager"},
		Scheduler:         {name: "system:kube-scheduler"},
		Kubelet:           {name: "system:node:" + c.options.NodeName, groups: []string{"system:nodes"}},
	}
	for client, id := range identities {
		pair, err := ca.issue(id.name, id.groups...)
		if err != nil {
			return err
		}
		info := &api.AuthInfo{ClientCertificateData: pair.certificate, ClientKeyData: pair.key}
		if err := c.writeKubeconfig(client, ca.pem, info); err != nil {
			return err
		}
	}
	return c.connect()
}

func (c *Cluster) writeKubeconfig(name string, authority []byte, info *api.AuthInfo) error {
	config := api.NewConfig()
	config.Clusters["test"] = &api.Cluster{
		Server:                   url("https", c.network.apiServer),
		CertificateAuthorityData: authority,
	}
	config.AuthInfos[name] = info
	config.Contexts["test"] = &api.Context{Cluster: "test", AuthInfo: name}
	config.CurrentContext = "test"
	if err := clientcmd.WriteToFile(*config, c.kubeconfig(name)); err != nil {
		return fmt.Errorf("writing the kubeconfig of %s: %w", name, err)
	}
	return nil
}

// connect makes the administrator's client.
func (c *Cluster) connect() error {
	config, err := clientcmd.BuildConfigFromFlags("", c.Kubeconfig())
	if err != nil {
		return fmt.Errorf("reading the administrator's kubeconfig: %w", err)
	}
	config.QPS = -1 // no limit
	c.admin = config
	if c.client, err = kubernetes.NewForConfig(config); err != nil {
		return fmt.Errorf("making the administrator's client: %w", err)
	}
	return nil
}
