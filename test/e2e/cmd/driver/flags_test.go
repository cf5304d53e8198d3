package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestParse(t *testing.T) {
	credentials := filepath.Join(t.TempDir(), "credentials.json")
	if err := os.WriteFile(credentials, []byte(`{"username":"admin"}`), 0o600); err != nil {
		t.Fatal(err)
	}
	p, err := parse([]string{
		"--endpoint=unix:///run/csi.sock", "--node-id=node-1", "--topology-key=zone",
		"--topologies=zone=a,rack=1", "--topologies=zone=b",
		"--controller-capabilities=*,-GET_CAPACITY", "--node-capabilities=",
		"--capacity=1Ti", "--max-volume-size=10Gi", "--expand-credentials-file", credentials,
	})
	if err != nil {
		t.Fatal(err)
	}
	o := p.options
	for name, pair := range map[string][2]any{
		"segments":     {map[string]string{"zone": "node-1"}, o.Segments},
		"topologies":   {[]map[string]string{{"zone": "a", "rack": "1"}, {"zone": "b"}}, o.Topologies},
		"controller":   {[]string{"*", "-GET_CAPACITY"}, o.Capabilities.Controller},
		"node":         {[]string{}, o.Capabilities.Node},
		"plugin":       {[]string(nil), o.Capabilities.Plugin},
		"capacity":     {int64(1) << 40, o.CapacityBytes},
		"largest":      {int64(10) << 30, o.MaxVolumeBytes},
		"credentials":  {map[string]string{"username": "admin"}, o.ExpandCredentials},
		"log's format": {"text", p.logFormat},
	} {
		if diff := cmp.Diff(pair[0], pair[1]); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

func TestParseRefuses(t *testing.T) {
	secret := filepath.Join(t.TempDir(), "credentials.json")
	if err := os.WriteFile(secret, []byte(`t0p-Secret`), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, arg := range map[string]string{
		"flag": "--nonsense", "command": "clean", "size": "--capacity=much", "topology": "--topologies=zone",
		"format": "--log-format=xml", "credentials": "--expand-credentials-file=" + secret,
	} {
		t.Run(name, func(t *testing.T) {
			_, err := parse([]string{arg})
			if err == nil {
				t.Fatal("parsed")
			}
			if strings.Contains(err.Error(), "t0p") {
				t.Errorf("the error tells a secret: %v", err)
			}
		})
	}
}
