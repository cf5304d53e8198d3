// Command csi-provisioner is the sidecar that creates and deletes the volumes of
// a CSI driver. See --help for its flags.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/KimMachineGun/automemlimit/memlimit"
	_ "k8s.io/component-base/logs/json/register" // --logging-format=json
	"k8s.io/klog/v2"

	"github.com/csi-provisioner/csi-provisioner/pkg/options"
	"github.com/csi-provisioner/csi-provisioner/pkg/sidecar"
)

// version is set when the program is linked.
var version = "unknown"

// Exit codes: 1 when the program can't go on, 2 for a wrong command line.
const (
	exitFailure = 1
	exitUsage   = 2
)

func main() {
	if len(os.Args) > 1 && os.Args[1] == auditCommand {
		os.Exit(runAudit(os.Args[2:], os.Getenv, os.Stdout, os.Stderr))
	}
	if len(os.Args) > 1 && os.Args[1] == explainCommand {
		os.Exit(runExplain(os.Args[2:], os.Getenv, os.Stdin, os.Stdout, os.Stderr))
	}
	os.Exit(run())
}

func run() int {
	config, err := options.Parse(options.ForProgram(os.Args[0], os.Args[1:]), os.Getenv, os.Stdout)
	switch {
	case errors.Is(err, options.ErrHelp):
		return 0
	case err != nil:
		return wrongUsage(err)
	case config.ShowVersion:
		fmt.Println(os.Args[0], version)
		return 0
	}
	if err := applyLogging(config); err != nil {
		return wrongUsage(err)
	}
	defer klog.Flush()

	// After the first signal the next one kills the process.
	ctx, restore := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, restore)
	if err := tuneMemory(ctx, memlimit.FromCgroup); err != nil {
		klog.ErrorS(err, "Going on without a memory limit")
	}
	if err := sidecar.Run(ctx, config, version); err != nil {
		klog.ErrorS(err, "The program can't go on")
		leaveMessage(terminationLog, err)
		return exitFailure
	}
	return 0
}

func wrongUsage(err error) int {
	fmt.Fprintln(os.Stderr, err)
	leaveMessage(terminationLog, err)
	return exitUsage
}
