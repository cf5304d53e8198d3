package cluster

import (
	"encoding/json"
	"fmt"
	"os"
)

// writeConfigs writes the configuration files of the components that take most
// of their settings from one. They read YAML, and JSON is YAML.
func (c *Cluster) writeConfigs() error {
	files := map[string]any{
		"scheduler.json": c.schedulerConfig(),
		"kubelet.json":   c.kubeletConfig(),
		"audit.json":     auditPolicy(),
	}
	for name, config := range files {
		content, err := json.MarshalIndent(config, "", "  ")
		if err != nil {
			return fmt.Errorf("encoding %s: %w", name, err)
		}
		if err := os.WriteFile(c.path(name), content, 0o600); err != nil {
			return err
		}
	}
	return nil
}

func (c *Cluster) schedulerConfig() map[string]any {
	return map[string]any{
		"apiVersion":     "kubescheduler.config.k8s.io/v1",
		"kind":           "KubeSchedulerConfiguration",
		"leaderElection": map[string]any{"leaderElect": false},
		"clientConnection": map[string]any{
			"kubeconfig": c.kubeconfig(Scheduler),
			"qps":        5000,
			"burst":      10000,
		},
		// A pod whose volume was not there at first must not make a test wait.
		"podInitialBackoffSeconds": 1,
		"podMaxBackoffSeconds":     1,
	}
}

// kubeletConfig is that of a kubelet that shares the machine with whoever uses
// it: it manages no cgroups, no packet filter and no images, evicts nothing, and
// keeps its files in the cluster's directory.
func (c *Cluster) kubeletConfig() map[string]any {
	return map[string]any{
		"apiVersion": "kubelet.config.k8s.io/v1beta1",
		"kind":       "KubeletConfiguration",

		"address":            host,
		"port":               c.network.kubelet,
		"readOnlyPort":       0,
		"healthzBindAddress": host,
		"healthzPort":        c.network.kubeletHealth,
		"tlsCertFile":        c.pki("kubelet.crt"),
		"tlsPrivateKeyFile":  c.pki("kubelet.key"),
		"authentication": map[string]any{
			"anonymous": map[string]any{"enabled": false},
			"webhook":   map[string]any{"enabled": false},
			"x509":      map[string]any{"clientCAFile": c.pki("ca.crt")},
		},
		"authorization": map[string]any{"mode": "AlwaysAllow"},

		"containerRuntimeEndpoint": "unix://" + c.runtimeSocket(),
		"podLogsDir":               c.path("pod-logs"),
		"volumePluginDir":          c.path("volume-plugins"),

		"cgroupsPerQOS":                 false,
		"enforceNodeAllocatable":        []string{},
		"failCgroupV1":                  false,
		"failSwapOn":                    false,
		"localStorageCapacityIsolation": false,
		"makeIPTablesUtilChains":        false,
		"oomScoreAdj":                   0,
		"imageGCHighThresholdPercent":   100,
		"evictionHard": map[string]any{
			"imagefs.available": "0%", "imagefs.inodesFree": "0%",
			"nodefs.available": "0%", "nodefs.inodesFree": "0%",
			"memory.available": "0%",
		},

		"syncFrequency":             "1s",
		"nodeStatusUpdateFrequency": "1s",
		"maxPods":                   500,
		"kubeAPIQPS":                1000,
		"kubeAPIBurst":              2000,
		"eventRecordQPS":            0,
		"registryPullQPS":           0,
	}
}
