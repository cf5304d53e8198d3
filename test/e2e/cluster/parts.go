package cluster

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
)

// A part is what a component is started from.
type part struct {
	name      string
	arguments []string
	ready     func(ctx context.Context) error
}

// parts returns what the cluster is made of: first what can start by itself,
// then what wants the API server to be there.
func (c *Cluster) parts() (first, second []part) {
	first = []part{c.etcd(), c.apiServer()}
	if c.options.Kubelet {
		first = append(first, c.containerRuntime())
	}
	if !c.options.WithoutControllerManager {
		second = append(second, c.controllerManager())
	}
	if !c.options.WithoutScheduler {
		second = append(second, c.scheduler())
	}
	if c.options.Kubelet {
		second = append(second, c.kubelet())
	}
	return first, second
}

func (c *Cluster) etcd() part {
	clients, peers := url("http", c.network.etcdClients), url("http", c.network.etcdPeers)
	return part{
		name: Etcd,
		arguments: []string{
			"--data-dir=" + c.path("etcd"),
			"--name=test",
			"--listen-client-urls=" + clients,
			"--advertise-client-urls=" + clients,
			"--listen-peer-urls=" + peers,
			"--initial-advertise-peer-urls=" + peers,
			"--initial-cluster=test=" + peers,
			"--log-level=warn",
			// The data must outlive the process, but not the machine.
			"--unsafe-no-fsync=true",
		},
		ready: healthy(clients + "/health"),
	}
}

func (c *Cluster) apiServer() part {
	return part{
		name: APIServer,
		arguments: slices.Concat(c.auditArguments(), []string{
			"--etcd-servers=" + url("http", c.network.etcdClients),
			"--bind-address=" + host,
			"--advertise-address=" + host,
			"--secure-port=" + strconv.Itoa(c.network.apiServer),
			"--cert-dir=" + c.path("pki"),
			"--tls-cert-file=" + c.pki("kube-apiserver.crt"),
			"--tls-private-key-file=" + c.pki("kube-apiserver.key"),
			"--client-ca-file=" + c.pki("ca.crt"),
			"--service-account-issuer=https://kubernetes.default.svc",
			"--service-account-key-file=" + c.pki("service-accounts.crt"),
			"--service-account-signing-key-file=" + c.pki("service-accounts.key"),
			"--service-cluster-ip-range=10.0.0.0/24",
			// Nothing reaches the API server by its service, and an endpoint
			// may not have the address that it listens on.
			"--endpoint-reconciler-type=none",
			"--authorization-mode=Node,RBAC",
			"--enable-admission-plugins=NodeRestriction",
			"--allow-privileged=true",
			// Otherwise it drops the namespace of a claim's data source.
			"--feature-gates=CrossNamespaceVolumeDataSource=true",
			"--profiling=false",
		}),
		ready: func(ctx context.Context) error {
			return c.client.CoreV1().RESTClient().Get().AbsPath("/readyz").Do(ctx).Error()
		},
	}
}

func (c *Cluster) controllerManager() part {
	return part{
		name: ControllerManager,
		arguments: []string{
			"--kubeconfig=" + c.kubeconfig(ControllerManager),
			"--leader-elect=false",
			"--secure-port=0",
			"--use-service-account-credentials=true",
			"--service-account-private-key-file=" + c.pki("service-accounts.key"),
			"--root-ca-file=" + c.pki("ca.crt"),
			"--flex-volume-plugin-dir=" + c.path("volume-plugins"),
			"--controllers=" + strings.Join(controllers(), ","),
			// A claim that the binder missed must not make a test wait.
			"--pvclaimbinder-sync-period=1s",
			// Nodes made by hand have no kubelet to say that they live.
			"--node-monitor-grace-period=24h",
			"--kube-api-qps=5000",
			"--kube-api-burst=10000",
			"--profiling=false",
		},
		ready: immediately,
	}
}

// controllers is all but those that sign certificates, scale, or look after
// what no test makes.
func controllers() []string {
	return []string{
		"*",
		"-certificatesigningrequest-approving-controller",
		"-certificatesigningrequest-cleaner-controller",
		"-certificatesigningrequest-signing-controller",
		"-horizontal-pod-autoscaler-controller",
		"-legacy-serviceaccount-token-cleaner-controller",
		"-podcertificaterequest-cleaner-controller",
		"-ttl-controller",
		"-validatingadmissionpolicy-status-controller",
	}
}

func (c *Cluster) scheduler() part {
	return part{
		name: Scheduler,
		arguments: []string{
			"--config=" + c.path("scheduler.json"),
			"--secure-port=0",
		},
		ready: immediately,
	}
}

func (c *Cluster) containerRuntime() part {
	return part{
		name:      ContainerRuntime,
		arguments: []string{c.runtimeSocket()},
		ready: func(ctx context.Context) error {
			connection, err := (&net.Dialer{}).DialContext(ctx, "unix", c.runtimeSocket())
			if err != nil {
				return err
			}
			return connection.Close()
		},
	}
}

func (c *Cluster) kubelet() part {
	arguments := []string{
		"--config=" + c.path("kubelet.json"),
		"--kubeconfig=" + c.kubeconfig(Kubelet),
		"--root-dir=" + c.KubeletDir(),
		"--cert-dir=" + c.path("pki"),
		"--hostname-override=" + c.options.NodeName,
	}
	if c.network.nodeIP != "" {
		arguments = append(arguments, "--node-ip="+c.network.nodeIP)
	}
	return part{
		name:      Kubelet,
		arguments: arguments,
		ready:     healthy(url("http", c.network.kubeletHealth) + "/healthz"),
	}
}

func (c *Cluster) runtimeSocket() string { return c.path("runtime.sock") }

// immediately is the readiness of a component that does not tell.
func immediately(context.Context) error { return nil }

// healthy is the readiness of a component that answers at an address.
func healthy(address string) func(context.Context) error {
	return func(ctx context.Context) error {
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
		if err != nil {
			return err
		}
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			return err
		}
		defer response.Body.Close()
		if response.StatusCode != http.StatusOK {
			return fmt.Errorf("%s answers %s", address, response.Status)
		}
		return nil
	}
}
