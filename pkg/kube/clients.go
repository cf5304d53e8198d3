package kube

import (
	"fmt"
	"net"
	"time"

	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/metadata"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
)

// Limits of the client that reads and writes volumes. Without QPS there is
// none: API Priority and Fairness of the API server does that job.
type Limits struct {
	// QPS is the number of requests a second, on average; 0 for no limit.
	QPS float32
	// Burst is the number of requests that may come at once.
	Burst int
}

// Clients are separate, so that neither events nor volumes can hold up the
// lease: each has its own limits.
type Clients struct {
	// Core is for all objects but the following.
	Core kubernetes.Interface
	// Metadata is for objects of which only the metadata is wanted.
	Metadata metadata.Interface
	// Dynamic is for objects of kinds that Kubernetes itself does not have.
	Dynamic dynamic.Interface
	// Events is for events.
	Events kubernetes.Interface
	// Leases is for leader election.
	Leases kubernetes.Interface
}

const (
	// eventQPS and eventBurst are the budget of events.
	eventQPS, eventBurst = 50, 100
	protobuf             = "application/vnd.kubernetes.protobuf,application/json"
)

// RESTConfig returns the configuration for the API server that a kubeconfig
// file or a URL names, or for that of the cluster in which the process runs.
func RESTConfig(master, kubeconfig, userAgent string) (*rest.Config, error) {
	config, err := restConfig(master, kubeconfig)
	if err != nil {
		return nil, err
	}
	config.UserAgent = userAgent
	return config, nil
}

func restConfig(master, kubeconfig string) (*rest.Config, error) {
	if master == "" && kubeconfig == "" {
		config, err := rest.InClusterConfig()
		if err != nil {
			return nil, fmt.Errorf("finding the API server: %w: outside of a cluster, give --kubeconfig or --master", err)
		}
		return config, nil
	}
	config, err := clientcmd.BuildConfigFromFlags(master, kubeconfig)
	if err != nil {
		return nil, fmt.Errorf("reading --kubeconfig %q (--master %q): %w", kubeconfig, master, err)
	}
	return config, nil
}

// NewClients returns the clients. The argument is not changed. A request for
// the lease takes at most leaseTimeout.
func NewClients(config *rest.Config, limits Limits, leaseTimeout time.Duration) (*Clients, error) {
	core := limited(config, limits)
	events := limited(config, Limits{QPS: eventQPS, Burst: eventBurst})
	leases := apart(limited(config, Limits{}))
	leases.Timeout = leaseTimeout

	var clients Clients
	var err error
	for client, from := range map[*kubernetes.Interface]*rest.Config{
		&clients.Core: core, &clients.Events: events, &clients.Leases: leases,
	} {
		if *client, err = kubernetes.NewForConfig(from); err != nil {
			return nil, fmt.Errorf("making a client for the API server: %w", err)
		}
	}
	if clients.Metadata, err = metadata.NewForConfig(core); err != nil {
		return nil, fmt.Errorf("making a metadata client for the API server: %w", err)
	}
	if clients.Dynamic, err = dynamic.NewForConfig(core); err != nil {
		return nil, fmt.Errorf("making a client for further kinds of the API server: %w", err)
	}
	return &clients, nil
}

const dialTimeout, keepAlive = 30 * time.Second, 30 * time.Second

// apart gives who uses the configuration a connection of its own. All other clients share
// one: what they send at one time goes out together, which costs the API server less than
// many small packets do. But the lease must not wait behind a burst of volumes.
func apart(config *rest.Config) *rest.Config {
	dialer := &net.Dialer{Timeout: dialTimeout, KeepAlive: keepAlive}
	config.Dial = dialer.DialContext
	return config
}

// NewClient returns one more client, with limits of its own. The argument is not
// changed.
func NewClient(config *rest.Config, limits Limits) (kubernetes.Interface, error) {
	client, err := kubernetes.NewForConfig(limited(config, limits))
	if err != nil {
		return nil, fmt.Errorf("making a client for the API server: %w", err)
	}
	return client, nil
}

func limited(config *rest.Config, limits Limits) *rest.Config {
	config = rest.CopyConfig(config)
	config.AcceptContentTypes = protobuf
	config.DisableCompression = true
	config.ContentType = "application/vnd.kubernetes.protobuf"
	config.QPS, config.Burst = limits.QPS, limits.Burst
	if limits.QPS == 0 {
		config.QPS = -1
	}
	return config
}
