package main

// peerFlag is a flag of external-provisioner v6.3 or external-resizer v2.3.
type peerFlag struct {
	// provisioner and resizer are the defaults; nil where the program has no such
	// flag.
	provisioner, resizer *string
	// note tells what is different, beside the default.
	note string
}

func (p peerFlag) but(note string) peerFlag {
	p.note = note
	return p
}

func both(value string) peerFlag        { return peerFlag{provisioner: &value, resizer: &value} }
func provisioner(value string) peerFlag { return peerFlag{provisioner: &value} }
func resizer(value string) peerFlag     { return peerFlag{resizer: &value} }

// peerFlags returns the flags of both, but for --help. That the programs have
// these, and no others, is tested with the programs themselves (test/e2e).
func peerFlags() map[string]peerFlag {
	return map[string]peerFlag{
		// The API server, and how replicas agree.
		"master":                         both(""),
		"kubeconfig":                     both("").but("R: the environment variable KUBECONFIG is not read"),
		"kube-api-qps":                   both("5"),
		"kube-api-burst":                 both("10"),
		"leader-election":                both("false"),
		"leader-election-namespace":      both(""),
		"leader-election-lease-duration": both("15s"),
		"leader-election-renew-deadline": both("10s"),
		"leader-election-retry-period":   both("5s"),
		"leader-election-labels":         both(""),
		// The driver.
		"csi-address": both("/run/csi/socket"),
		"timeout":     both("10s"),
		// How much is done at once, and how often again.
		"cloning-protection-threads":     provisioner("1"),
		"snapshot-orphan-sweep-interval": provisioner("5m0s"),
		"prevent-volume-mode-conversion": provisioner("true"),
		"worker-threads":                 provisioner("100").but("claims, and volumes, in progress at one time"),
		"workers":                        resizer("10").but("claims in progress at one time"),
		"retry-interval-start":           both("1s"),
		"retry-interval-max":             both("5m0s").but("P: not after InvalidArgument, which is always tried again after 5 minutes"),
		"resize-timeout":                 resizer("10s").but("--timeout, if it is given, counts instead"),
		"modify-timeout":                 resizer("10s").but("--timeout, if it is given, counts instead"),
		"resync-period":                  resizer("10m0s"),
		"automaxprocs":                   both("").but("needed; here the Go runtime does so by itself"),
		// Volumes.
		"volume-name-prefix":          provisioner("pvc").but("empty makes every claim fail; here it is refused"),
		"volume-name-uuid-length":     provisioner("-1").but("any number; here lengths that are not unique are refused"),
		"default-fstype":              provisioner(""),
		"extra-create-metadata":       provisioner("false"),
		"strict-topology":             provisioner("false"),
		"immediate-topology":          provisioner("true"),
		"controller-publish-readonly": provisioner("false"),
		"handle-volume-inuse-error":   resizer("true").but("all pods of the cluster are watched"),
		"extra-modify-metadata":       resizer("false"),
		// Storage capacity.
		"enable-capacity":                   provisioner("false"),
		"capacity-threads":                  provisioner("1"),
		"capacity-for-immediate-binding":    provisioner("false"),
		"capacity-poll-interval":            provisioner("1m0s"),
		"capacity-ownerref-level":           provisioner("1"),
		"node-deployment":                   provisioner("false"),
		"node-deployment-immediate-binding": provisioner("true"),
		"node-deployment-base-delay":        provisioner("20s"),
		"node-deployment-max-delay":         provisioner("1m0s"),
		"kube-api-capacity-qps":             provisioner("1"),
		"kube-api-capacity-burst":           provisioner("5"),
		// What is served and logged.
		"http-endpoint":             both(""),
		"metrics-address":           both("").but("without /healthz/leader-election"),
		"metrics-path":              both("/metrics"),
		"enable-pprof":              provisioner("false"),
		"logging-format":            both("text"),
		"log-flush-frequency":       both("5s"),
		"v":                         both("0"),
		"vmodule":                   both(""),
		"log-text-split-stream":     both("false").but(noGate),
		"log-text-info-buffer-size": both("0").but(noGate),
		"log-json-split-stream":     both("false").but(noGate),
		"log-json-info-buffer-size": both("0").but(noGate),
		"feature-gates":             both("").but("gates of the API server are accepted, too"),
		"version":                   both("false"),
	}
}

const noGate = "refused, as no gate allows it"
