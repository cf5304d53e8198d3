package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const explainedClaim = `
apiVersion: storage.k8s.io/v1
kind: StorageClass
metadata: {name: fast}
provisioner: driver.example
---
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {name: a}
spec: {storageClassName: fast, accessModes: [ReadWriteOnce]}
`

func TestExplain(t *testing.T) {
	file := filepath.Join(t.TempDir(), "claim.yaml")
	if err := os.WriteFile(file, []byte(explainedClaim), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct {
		args  []string
		input string
		code  int
		says  string
	}{
		"a file":                 {[]string{"-f", file}, "", 0, "outcome: a volume is made"},
		"the standard input":     {[]string{"-f", "-"}, explainedClaim, 0, "outcome: a volume is made"},
		"flags of the sidecar":   {[]string{"-f", file, "--", "--volume-name-prefix=disk"}, "", 0, "name: disk-0"},
		"a refused claim":        {[]string{"-f", file, "--without=CREATE_DELETE_VOLUME"}, "", exitRefused, "outcome: no volume is made"},
		"help":                   {[]string{"--help"}, "", 0, "Exit codes:"},
		"no file":                {nil, "", exitUsage, "give their files as -f FILE"},
		"a file that is missing": {[]string{"-f", file + "x"}, "", exitFailure, "no such file"},
		"no claim":               {[]string{"-f", "-"}, "kind: x", exitFailure, "there is no PersistentVolumeClaim"},
		"an unknown flag":        {[]string{"-f", file, "--strict-topology"}, "", exitUsage, "explain --help lists all flags"},
		"a wrong sidecar flag":   {[]string{"-f", file, "--", "--strict-topologie"}, "", exitUsage, "the flags of the sidecar: "},
		"an unknown capability":  {[]string{"-f", file, "--without=FLY"}, "", exitUsage, "known are CLONE_VOLUME"},
		"an argument too many":   {[]string{file}, "", exitUsage, "files are given as -f FILE"},
	} {
		var output bytes.Buffer
		none := func(string) string { return "" }
		code := runExplain(test.args, none, strings.NewReader(test.input), &output, &output)
		if code != test.code || !strings.Contains(output.String(), test.says) {
			t.Errorf("%s: the exit code is %d, want %d with %q:\n%s", name, code, test.code, test.says, output.String())
		}
	}
}
