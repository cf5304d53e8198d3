package cluster_test

import (
	"bufio"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/csi-provisioner/csi-provisioner/test/e2e/cluster"
)

// gone is how long a cluster may take to be gone.
const gone = 10 * time.Second

func TestStopLeavesNothing(t *testing.T) {
	before := machine(t)
	c := start(t, cluster.Options{Kubelet: os.Geteuid() == 0, WithoutControllerManager: true, WithoutScheduler: true})
	// A process that has children, and does not stop for the asking.
	driver, err := c.Run("driver", exec.Command("sh", "-c", "trap '' TERM; sleep 1000 & sleep 1000"))
	if err != nil {
		t.Fatal(err)
	}
	device := burden(t, c.Dir())

	begin := time.Now()
	if err := c.Stop(); err != nil {
		t.Fatal(err)
	}
	t.Logf("stopped in %s", time.Since(begin).Round(time.Millisecond))
	if err := leftover(c.Dir(), device); err != nil {
		t.Error(err)
	}
	if diff := cmp.Diff(before, machine(t)); diff != "" {
		t.Errorf("the machine has changed (-before +now):\n%s", diff)
	}
	if err := driver.Wait(); err == nil {
		t.Error("the driver ended by itself")
	}
	if _, err := c.Run("late", exec.Command("true")); err == nil {
		t.Error("a stopped cluster runs a process")
	}
	if err := c.Stop(); err != nil {
		t.Errorf("a second stop: %v", err)
	}
}

// TestKilled is the test that is interrupted in the hardest way: the process
// that started the cluster is killed.
func TestKilled(t *testing.T) {
	child := exec.Command(os.Args[0])
	child.Env = append(os.Environ(), childVariable+"=1")
	child.Stderr = os.Stderr
	output, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = child.Process.Kill() })
	dir, err := bufio.NewReader(output).ReadString('\n')
	if err != nil {
		t.Fatalf("reading what the child says: %v", err)
	}
	dir = strings.TrimSpace(dir)
	if leftover(dir, "") == nil {
		t.Fatalf("there is no cluster in %q to leave anything", dir)
	}
	device := burden(t, dir)

	begin := time.Now()
	if err := child.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = child.Wait()
	eventually(t, gone, func() error { return leftover(dir, device) })
	t.Logf("gone %s after the kill", time.Since(begin).Round(time.Millisecond))
}

func TestKeepLeavesTheLogs(t *testing.T) {
	dir, err := os.MkdirTemp("", "kept-") // the test's own has a name too long for sockets
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	c := start(t, cluster.Options{Dir: dir, WithoutControllerManager: true, WithoutScheduler: true})
	if err := c.Keep(); err != nil {
		t.Fatal(err)
	}
	if err := c.Stop(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(c.LogFile(cluster.APIServer)); err != nil {
		t.Error(err)
	}
}

func TestFailedStartSaysWhyAndLeavesNothing(t *testing.T) {
	dir := filepath.Join(os.TempDir(), "kube-failed")
	_, err := cluster.Start(t.Context(), cluster.Options{
		Dir:       dir,
		Arguments: map[string][]string{cluster.APIServer: {"--no-such-flag"}},
	})
	if err == nil || !strings.Contains(err.Error(), "unknown flag: --no-such-flag") {
		t.Errorf("the error does not hold the end of the API server's log: %v", err)
	}
	if err := leftover(dir, ""); err != nil {
		t.Error(err)
	}
}

func TestDirectoryInUseIsRefused(t *testing.T) {
	dir := t.TempDir()
	precious := filepath.Join(dir, "precious")
	if err := os.WriteFile(precious, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := cluster.Start(t.Context(), cluster.Options{Dir: dir}); err == nil {
		t.Error("the cluster was started")
	}
	if _, err := os.Stat(precious); err != nil {
		t.Error(err)
	}
}

func TestMissingBinarySaysHowToBuildIt(t *testing.T) {
	t.Setenv(cluster.BinaryVariable, filepath.Join(t.TempDir(), "kube"))
	_, err := cluster.Binary()
	if err == nil || !strings.Contains(err.Error(), cluster.BuildCommand) {
		t.Errorf("the error does not say how to build the program: %v", err)
	}
}

func TestOtherBinaryIsRefused(t *testing.T) {
	other, err := exec.LookPath("true")
	if err != nil {
		t.Skip(err)
	}
	_, err = cluster.Start(t.Context(), cluster.Options{Binary: other})
	if err == nil || !strings.Contains(err.Error(), other) {
		t.Errorf("the error does not name the program: %v", err)
	}
}
