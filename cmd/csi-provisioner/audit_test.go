package main

import (
	"cmp"
	"errors"
	"strings"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
	"github.com/spf13/pflag"

	"github.com/csi-provisioner/csi-provisioner/pkg/audit"
)

func noEnvironment(string) string { return "" }

func TestParseAudit(t *testing.T) {
	pod := func(name string) string {
		return map[string]string{"KUBECONFIG": "/of/environment", "POD_NAMESPACE": "storage"}[name]
	}
	plain := auditOptions{
		address: "/run/csi/socket", namespace: cmp.Or(ownNamespace(), "default"), timeout: 10 * time.Second, settle: 10 * time.Second, page: 500, output: "table", maxAge: 24 * time.Hour,
	}
	for name, c := range map[string]struct {
		args        []string
		environment func(string) string
		want        func(*auditOptions)
	}{
		"nothing": {nil, noEnvironment, func(*auditOptions) {}},
		"in a pod": {nil, pod, func(o *auditOptions) {
			o.kubeconfig, o.namespace = "/of/environment", "storage"
		}},
		"all": {
			[]string{"--csi-address=/csi", "--kubeconfig=/k", "--master=http://m", "--namespace=n", "-o", "json", "--settle=0", "--page-size=0", "--timeout=1s", "--provisioning-journal-max-age=1h", "--confirm=a/1", "--confirm=a/2", "--discard=b/3"}, pod,
			func(o *auditOptions) {
				*o = auditOptions{address: "/csi", kubeconfig: "/k", master: "http://m", namespace: "n", output: "json", timeout: time.Second, maxAge: time.Hour, confirm: []string{"a/1", "a/2"}, discard: []string{"b/3"}}
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			want := plain
			c.want(&want)
			got, err := parseAudit(c.args, c.environment, t.Output())
			if err != nil {
				t.Fatal(err)
			}
			if diff := gocmp.Diff(want, got, gocmp.AllowUnexported(auditOptions{})); diff != "" {
				t.Errorf("options (-want +got):\n%s", diff)
			}
		})
	}
}

func TestParseAuditRefuses(t *testing.T) {
	for argument, says := range map[string]string{
		"--setle=1s":                         "--help lists all flags",
		"now":                                `unexpected argument "now"`,
		"--csi-address=":                     "--csi-address=: must be",
		"-o=yaml":                            "--output=yaml: must be table or json",
		"--timeout=0":                        "--timeout=0s: must be longer than 0",
		"--settle=-1s":                       "--settle=-1s: must not be negative",
		"--page-size=-1":                     "--page-size=-1: must not be negative",
		"--confirm=a":                        "--confirm=a: must be CONFIGMAP/KEY",
		"--discard=a/":                       "--discard=a/: must be CONFIGMAP/KEY",
		"--provisioning-journal-max-age=-1s": "--provisioning-journal-max-age=-1s: must not be negative",
	} {
		t.Run(argument, func(t *testing.T) {
			_, err := parseAudit([]string{argument}, noEnvironment, t.Output())
			if err == nil || !strings.Contains(err.Error(), says) {
				t.Errorf("the error is %v, want one that says %q", err, says)
			}
			var stdout, stderr strings.Builder
			if code := runAudit([]string{argument}, noEnvironment, &stdout, &stderr); code != 2 || !strings.Contains(stderr.String(), says) || stdout.Len() > 0 {
				t.Errorf("the exit code is %d and %q is printed", code, stderr.String())
			}
		})
	}
}

// TestAuditHelp: it tells every state, exit code and flag.
func TestAuditHelp(t *testing.T) {
	var help, stderr strings.Builder
	if _, err := parseAudit([]string{"-h"}, noEnvironment, t.Output()); !errors.Is(err, pflag.ErrHelp) {
		t.Errorf("the error is %v", err)
	}
	if code := runAudit([]string{"--help"}, noEnvironment, &help, &stderr); code != 0 || stderr.Len() > 0 {
		t.Errorf("the exit code is %d: %s", code, stderr.String())
	}
	for _, want := range []string{
		"\n  known", "\n  in creation", "\n  unclear", "\n  unknown", "\n  gone",
		"\n  0  ", "\n  1  ", "\n  2  ", "\n  3  ", "\n  4  ", "\n  5  ", "\n  6  ", "\n  set aside", "\n  unconfirmed", "\n  unreadable", "--confirm", "--discard",
		"--csi-address", "--kubeconfig", "--master", "--namespace", "-o, --output", "--settle", "--page-size", "--timeout",
	} {
		if !strings.Contains(help.String(), want) {
			t.Errorf("the help lacks %q:\n%s", want, help.String())
		}
	}
}

func TestVerdict(t *testing.T) {
	for _, c := range []struct {
		summary audit.Summary
		want    int
	}{
		{audit.Summary{Known: 5, InCreation: 2}, 0},
		{audit.Summary{Unclear: 1}, 0},
		{audit.Summary{Unclear: 2, UnknownAtLeast: 1, Gone: 1}, 3},
		{audit.Summary{Unknown: 1, UnknownAtLeast: 1}, 3},
		{audit.Summary{Gone: 1}, 4},
		{audit.Summary{Gone: 1, Unclear: 1}, 4},
	} {
		if got := verdict(&audit.Report{Summary: c.summary}); got != c.want {
			t.Errorf("the exit code of %+v is %d, want %d", c.summary, got, c.want)
		}
	}
	for state, want := range map[audit.KeptState]int{audit.SetAside: 6, audit.Unreadable: 6, audit.Unconfirmed: 0} {
		if got := verdict(&audit.Report{Records: []audit.Kept{{State: state}}}); got != want {
			t.Errorf("the exit code with a record that is %s is %d, want %d", state, got, want)
		}
	}
}
