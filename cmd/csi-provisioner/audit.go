package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/spf13/pflag"
	"k8s.io/klog/v2"
	"k8s.io/utils/clock"

	"github.com/csi-provisioner/csi-provisioner/pkg/audit"
	"github.com/csi-provisioner/csi-provisioner/pkg/csi"
	"github.com/csi-provisioner/csi-provisioner/pkg/kube"
)

// auditCommand is the first argument that asks for an audit.
const auditCommand = "audit"

// Exit codes of the audit, beside exitFailure and exitUsage.
const (
	// exitUnknown: there are volumes that nobody knows.
	exitUnknown = 3
	// exitGone: there are none, but PersistentVolumes whose volume is gone.
	exitGone = 4
	// exitCannotList: the driver does not tell which volumes it has.
	exitCannotList = 5
)

// requestTimeout bounds each request to the API server.
const requestTimeout = time.Minute

// runAudit is the subcommand; the arguments are those behind its name.
func runAudit(args []string, environment func(string) string, stdout, stderr io.Writer) int {
	options, err := parseAudit(args, environment, stdout)
	switch {
	case errors.Is(err, pflag.ErrHelp):
		return 0
	case err != nil:
		fmt.Fprintln(stderr, err)
		return exitUsage
	}
	defer klog.Flush()
	ctx, restore := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer restore()
	report, err := makeReport(ctx, options)
	if err == nil {
		err = options.write(report, stdout)
	}
	switch {
	case errors.Is(err, csi.ErrCannotList):
		fmt.Fprintln(stderr, err)
		return exitCannotList
	case err != nil:
		fmt.Fprintln(stderr, err)
		return exitFailure
	}
	return verdict(report)
}

func verdict(report *audit.Report) int {
	switch {
	case report.Summary.UnknownAtLeast > 0:
		return exitUnknown
	case report.Summary.Gone > 0:
		return exitGone
	}
	return 0
}

// makeReport connects to the driver and the API server, and audits.
func makeReport(ctx context.Context, options auditOptions) (*audit.Report, error) {
	config, err := kube.RESTConfig(options.master, options.kubeconfig, "csi-provisioner-audit/"+version)
	if err != nil {
		return nil, err
	}
	config.Timeout = requestTimeout
	clients, err := kube.NewClients(config, kube.Limits{}, requestTimeout)
	if err != nil {
		return nil, err
	}
	conn, err := csi.Dial(options.address, unrecorded{})
	if err != nil {
		return nil, err
	}
	defer func() { _ = conn.Close() }()
	ready, cancel := context.WithTimeout(ctx, options.timeout)
	defer cancel()
	session, err := csi.Open(ready, conn, options.timeout, clock.RealClock{})
	if err != nil {
		return nil, fmt.Errorf("meeting the CSI driver at --csi-address %q within %s (--timeout): %w", options.address, options.timeout, err)
	}
	volumes, err := csi.NewLister(ctx, conn, options.page, options.timeout)
	if err != nil {
		return nil, err
	}
	driver := session.Info().Name
	auditor := audit.Auditor{
		Driver:            driver,
		Volumes:           volumes,
		PersistentVolumes: audit.NewCluster(clients.Core, driver),
		Intents:           audit.NewJournal(kube.NewAllBatches(clients.Core, options.namespace, driver)),
		Settle:            options.settle,
		Clock:             clock.RealClock{},
	}
	return auditor.Run(ctx)
}

// unrecorded takes the calls' durations: nobody asks an audit for metrics.
type unrecorded struct{}

func (unrecorded) Record(string, bool, error, time.Duration) {}
