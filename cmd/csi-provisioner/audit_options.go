package main

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"github.com/csi-provisioner/csi-provisioner/pkg/audit"
	"github.com/csi-provisioner/csi-provisioner/pkg/options"
)

// auditOptions are what an audit is asked for.
type auditOptions struct {
	address            string
	master, kubeconfig string
	namespace          string
	timeout, settle    time.Duration
	maxAge             time.Duration
	page               int32
	output             string
	// confirm and discard are records, as CONFIGMAP/KEY.
	confirm, discard []string
}

// Formats of the report.
const (
	outputTable = "table"
	outputJSON  = "json"
)

const auditHelp = `csi-provisioner audit compares the volumes that the CSI driver has (ListVolumes)
with the PersistentVolumes of the cluster and with the journal of volumes in
creation. It changes nothing, but for records that it is told to confirm or discard.

Usage, for example in the sidecar's container:
  kubectl exec -n NAMESPACE POD -c csi-provisioner -- /csi-provisioner audit --csi-address=/csi/csi.sock

  ... audit --csi-address=/csi/csi.sock --discard=CONFIGMAP/KEY

States of volumes:
  known        a PersistentVolume has it
  in creation  an intent of the journal has it, or it appeared during the audit
  unclear      no PersistentVolume has it, and open intents may, but the handle does
               not tell: run the audit again when they are done
  unknown      nobody in this cluster knows it
  gone         a PersistentVolume has it, but the driver does not

States of records of the journal that the sidecar does not act upon:
  set aside    it is not of this installation, or it is old and its claim is gone
  unconfirmed  it is not signed, and counts only if its claim confirms it
  unreadable   the program does not understand it

Exit codes:
  0  everything is in order, or unclear
  1  the audit failed
  2  the command line is wrong
  3  there are unknown volumes
  4  there are none, but volumes of PersistentVolumes are gone
  5  the driver can't list its volumes: it lacks the capability LIST_VOLUMES
  6  all is in order but records of the journal, which wait for a decision

Flags:
`

// serviceAccountNamespace is the file that tells a pod its namespace.
const serviceAccountNamespace = "/var/run/secrets/kubernetes.io/serviceaccount/namespace"

// parseAudit returns the options that the arguments and the environment ask for.
// Help is printed to output. The error names what is wrong.
func parseAudit(args []string, environment func(string) string, output io.Writer) (auditOptions, error) {
	var o auditOptions
	flags := pflag.NewFlagSet("csi-provisioner audit", pflag.ContinueOnError)
	flags.SetOutput(output)
	flags.StringVar(&o.address, "csi-address", "/run/csi/socket", "Path of the CSI driver's socket.")
	flags.StringVar(&o.kubeconfig, "kubeconfig", environment("KUBECONFIG"), "Path of a kubeconfig file; only needed outside of a cluster. By default the environment variable KUBECONFIG.")
	flags.StringVar(&o.master, "master", "", "URL of the API server; only needed outside of a cluster and without a kubeconfig file.")
	flags.StringVar(&o.namespace, "namespace", "", "Namespace of the journal, which is the sidecar's; by default that of this pod (POD_NAMESPACE, else the service account's), else \"default\".")
	flags.StringVarP(&o.output, "output", "o", outputTable, "Format of the report: table or json.")
	flags.DurationVar(&o.settle, "settle", 10*time.Second, "Time after which the audit looks again if something is not in order: what is under way may be done by then.")
	flags.DurationVar(&o.maxAge, "provisioning-journal-max-age", options.DefaultJournalMaxAge, "As the sidecar's flag: age from which a record counts only while its claim exists. 0 is no limit.")
	flags.StringArrayVar(&o.confirm, "confirm", nil, "Confirm a record of the journal, as CONFIGMAP/KEY: the sidecar acts upon it, which may delete the volume that it names if no PersistentVolume has it. Can be given several times.")
	flags.StringArrayVar(&o.discard, "discard", nil, "Discard a record of the journal, as CONFIGMAP/KEY: if there is a volume, nobody takes care of it any more. Can be given several times.")
	flags.Int32Var(&o.page, "page-size", 500, "Number of volumes that the CSI driver is asked for at once; 0 for all.")
	flags.DurationVar(&o.timeout, "timeout", 10*time.Second, "Timeout of each call to the CSI driver, and time to wait for it to be ready.")
	flags.Usage = func() { _, _ = fmt.Fprint(output, auditHelp, flags.FlagUsages()) }
	if err := flags.Parse(args); err != nil {
		if errors.Is(err, pflag.ErrHelp) {
			return o, err
		}
		return o, fmt.Errorf("%w: csi-provisioner audit --help lists all flags", err)
	}
	if flags.NArg() > 0 {
		return o, fmt.Errorf("unexpected argument %q: flags are written as --name=value", flags.Arg(0))
	}
	o.namespace = cmp.Or(o.namespace, environment("POD_NAMESPACE"), ownNamespace(), "default")
	return o, o.validate()
}

// ownNamespace is that of the pod's service account; empty outside of a cluster.
func ownNamespace() string {
	content, err := os.ReadFile(serviceAccountNamespace)
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(content))
}

func (o auditOptions) validate() error {
	var errs []error
	wrong := func(flag string, value any, fix string) {
		errs = append(errs, fmt.Errorf("--%s=%v: %s", flag, value, fix))
	}
	if o.address == "" {
		wrong("csi-address", o.address, "must be the path of the driver's socket")
	}
	if o.output != outputTable && o.output != outputJSON {
		wrong("output", o.output, "must be table or json")
	}
	if o.timeout <= 0 {
		wrong("timeout", o.timeout, "must be longer than 0")
	}
	if o.settle < 0 {
		wrong("settle", o.settle, "must not be negative")
	}
	if o.page < 0 {
		wrong("page-size", o.page, "must not be negative")
	}
	if o.maxAge < 0 {
		wrong("provisioning-journal-max-age", o.maxAge, "must not be negative")
	}
	for flag, records := range map[string][]string{"confirm": o.confirm, "discard": o.discard} {
		for _, record := range records {
			if name, key, ok := strings.Cut(record, "/"); !ok || name == "" || key == "" {
				wrong(flag, record, "must be CONFIGMAP/KEY, as the audit prints it")
			}
		}
	}
	return errors.Join(errs...)
}

// write writes the report in the format that was asked for.
func (o auditOptions) write(report *audit.Report, w io.Writer) error {
	if o.output == outputJSON {
		return report.WriteJSON(w)
	}
	return report.WriteTable(w)
}
