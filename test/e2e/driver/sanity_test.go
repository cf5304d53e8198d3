package driver_test

import (
	"path/filepath"
	"testing"

	"github.com/kubernetes-csi/csi-test/v5/pkg/sanity"
	"github.com/onsi/ginkgo/v2"
	"github.com/onsi/gomega"

	"github.com/csi-provisioner/csi-provisioner/test/e2e/driver"
	"github.com/csi-provisioner/csi-provisioner/test/e2e/driver/backend"
)

// everything are the capabilities that the driver can have beside the default.
func everything() driver.Capabilities {
	return driver.Capabilities{
		Plugin: []string{"*"},
		Controller: []string{
			"*", "PUBLISH_READONLY", "LIST_VOLUMES_PUBLISHED_NODES", "GET_VOLUME", "SINGLE_NODE_MULTI_WRITER",
		},
		Node: []string{"*", "SINGLE_NODE_MULTI_WRITER"},
	}
}

// TestSanity runs csi-sanity, once for each way to run the driver. Ginkgo runs
// one suite in a process: the ways are its containers.
func TestSanity(t *testing.T) {
	ways := map[string]driver.Options{
		"directory": {Backend: backend.Directory, Capabilities: everything()},
		"directory, expanding on the node alone, publishing alone, attaching nothing": {
			Backend: backend.Directory,
			Capabilities: driver.Capabilities{
				Plugin:     []string{"*", "-VOLUME_ACCESSIBILITY_CONSTRAINTS"},
				Controller: []string{"*", "-EXPAND_VOLUME", "-PUBLISH_UNPUBLISH_VOLUME", "-MODIFY_VOLUME"},
				Node:       []string{"*", "-STAGE_UNSTAGE_VOLUME"},
			},
		},
	}
	if err := backend.CanLoop(); err != nil {
		t.Logf("without the loop backend: %v", err)
	} else {
		ways["loop"] = driver.Options{Backend: backend.Loop, Capabilities: everything()}
		ways["loop, expanding offline alone, publishing alone"] = driver.Options{
			Backend: backend.Loop,
			Capabilities: driver.Capabilities{
				Plugin: []string{"*", "-ONLINE", "OFFLINE"},
				Node:   []string{"*", "-STAGE_UNSTAGE_VOLUME"},
			},
		}
	}
	for name, options := range ways {
		for _, access := range []string{"mount", "block"} {
			ginkgo.Describe(name+", "+access, func() { sanityOf(t, options, access) })
		}
	}
	gomega.RegisterFailHandler(ginkgo.Fail)
	suite, reporter := ginkgo.GinkgoConfiguration()
	reporter.Succinct, reporter.SilenceSkips, reporter.NoColor = !testing.Verbose(), true, true
	ginkgo.RunSpecs(t, "csi-sanity", suite, reporter)
}

// sanityOf starts a driver and adds the specs for it.
func sanityOf(t *testing.T, options driver.Options, access string) {
	dir := t.TempDir()
	options.Endpoint = filepath.Join(dir, "csi.sock")
	options.StateDir = filepath.Join(dir, "state")
	options.MutableParameters = []string{"iops"}
	options.MaxVolumesPerNode = 5

	config := sanity.NewTestConfig()
	config.Address = "unix://" + options.Endpoint
	config.TargetPath = filepath.Join(dir, "target")
	config.StagingPath = filepath.Join(dir, "staging")
	config.TestVolumeSize = 1 << 30
	config.TestVolumeExpandSize = 2 << 30
	config.TestVolumeAccessType = access
	config.TestNodeVolumeAttachLimit = true
	config.TestVolumeMutableParameters = map[string]string{"iops": "100"}

	running, err := driver.Start(t.Context(), options)
	if err != nil {
		t.Fatal(err)
	}
	specs := sanity.GinkgoTest(&config)
	t.Cleanup(func() {
		specs.Finalize()
		if err := running.Stop(); err != nil {
			t.Error(err)
		}
		if err := driver.Cleanup(options.StateDir); err != nil {
			t.Error(err)
		}
	})
}
