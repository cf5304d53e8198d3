// Command kube is a whole Kubernetes in one program, for the tests: a real
// control plane and a real kubelet, without a container engine. The name it is
// called by, or else its first argument, says which part it plays:
//
//	etcd, kube-apiserver, kube-controller-manager, kube-scheduler, kubelet
//	    the programs of those names, with their own flags
//	container-runtime SOCKET
//	    a container runtime on a unix socket, in which containers "run"
//	    without being there
//	guard DIR
//	    ends everything that belongs to a cluster once its standard input is
//	    at its end, see the package guard
//
// It is one program because the parts share most of their code: together they
// are little bigger, and little slower to build, than the largest of them.
package main

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"go.etcd.io/etcd/server/v3/etcdmain"
	"k8s.io/component-base/cli"
	apiserver "k8s.io/kubernetes/cmd/kube-apiserver/app"
	controllermanager "k8s.io/kubernetes/cmd/kube-controller-manager/app"
	scheduler "k8s.io/kubernetes/cmd/kube-scheduler/app"

	"github.com/csi-provisioner/csi-provisioner/test/e2e/kube/cri"
	"github.com/csi-provisioner/csi-provisioner/test/e2e/kube/guard"
)

// An entry plays one part. It is given the part's name and arguments and
// returns the exit code.
type entry func(args []string) int

func entries() map[string]entry {
	return map[string]entry{
		"etcd":                    etcd,
		"kube-apiserver":          component(apiserver.NewAPIServerCommand),
		"kube-controller-manager": component(controllermanager.NewControllerManagerCommand),
		"kube-scheduler":          component(func() *cobra.Command { return scheduler.NewSchedulerCommand() }),
		"kubelet":                 runKubelet,
		"container-runtime":       cri.Main,
		"guard":                   guard.Main,
	}
}

func main() {
	os.Exit(run(os.Args))
}

func run(args []string) int {
	parts := entries()
	if part, ok := parts[filepath.Base(args[0])]; ok {
		return part(args)
	}
	if len(args) > 1 {
		if part, ok := parts[args[1]]; ok {
			return part(args[1:])
		}
	}
	names := make([]string, 0, len(parts))
	for name := range parts {
		names = append(names, name)
	}
	slices.Sort(names)
	fmt.Fprintf(os.Stderr, "usage: kube PART [ARGUMENT...], where PART is one of %s\n", strings.Join(names, ", "))
	return 2
}

// etcd does not return: etcdmain exits the process itself.
func etcd(args []string) int {
	etcdmain.Main(args)
	return 0
}

// component runs one of the programs that are built with cobra. The command is
// made only when it is run, because making one registers its feature gates for
// the whole process.
func component(command func() *cobra.Command) entry {
	return func(args []string) int {
		os.Args = args
		return cli.Run(command())
	}
}
