package guard

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestBelow(t *testing.T) {
	const dir = "/tmp/kube-1"
	for path, want := range map[string]bool{
		"/tmp/kube-1":             true,
		"/tmp/kube-1/kubelet":     true,
		"/tmp/kube-1/..data/x":    true,
		"/tmp/kube-10":            false,
		"/tmp":                    false,
		"/":                       false,
		"/tmp/kube-1/../kube-2/x": false,
		"":                        false,
	} {
		if got := below(path, dir); got != want {
			t.Errorf("below(%q, %q) = %t", path, dir, got)
		}
	}
}

func TestBelongs(t *testing.T) {
	const dir = "/tmp/kube-1"
	for name, tc := range map[string]struct {
		environment []string
		want        bool
	}{
		"marked":            {[]string{"A=b", "KUBE_GUARD_DIR=/tmp/kube-1", "C=d"}, true},
		"another cluster":   {[]string{"KUBE_GUARD_DIR=/tmp/kube-2"}, false},
		"a longer name":     {[]string{"KUBE_GUARD_DIR=/tmp/kube-10"}, false},
		"another variable":  {[]string{"MY_KUBE_GUARD_DIR=/tmp/kube-1"}, false},
		"part of a value":   {[]string{"A=KUBE_GUARD_DIR=/tmp/kube-1"}, false},
		"no environment":    {nil, false},
		"the end, unmarked": {[]string{"A=b", ""}, false},
	} {
		t.Run(name, func(t *testing.T) {
			if got := belongs([]byte(strings.Join(tc.environment, "\x00")), dir); got != tc.want {
				t.Errorf("got %t", got)
			}
		})
	}
}

func TestMountPoints(t *testing.T) {
	const table = `22 1 254:0 / / rw,relatime - ext4 /dev/vda rw
40 22 0:30 / /tmp/kube-1/pods/a\040b rw shared:9 - tmpfs tmpfs rw
41 40 7:0 / /tmp/kube-1/pods/a\040b/inner rw master:1 propagate_from:2 - xfs /dev/loop0 rw
42 22 0:31 / /tmp/kube-10/x rw - tmpfs tmpfs rw
43 22 0:32 / /tmp/kube-1/back\134slash rw - tmpfs tmpfs rw

short line
`
	want := []string{
		"/tmp/kube-1/pods/a b",
		"/tmp/kube-1/pods/a b/inner",
		`/tmp/kube-1/back\slash`,
	}
	if diff := cmp.Diff(want, mountPoints(table, "/tmp/kube-1")); diff != "" {
		t.Errorf("mount points (-want +got):\n%s", diff)
	}
}

func TestUnescape(t *testing.T) {
	for field, want := range map[string]string{
		`plain`:   "plain",
		`a\040b`:  "a b",
		`\134040`: `\040`,
		`end\04`:  `end\04`,
		`odd\999`: `odd\999`,
		``:        "",
	} {
		if got := unescape(field); got != want {
			t.Errorf("unescape(%q) = %q, want %q", field, got, want)
		}
	}
}

func TestBackingFile(t *testing.T) {
	for attribute, want := range map[string]string{
		"/tmp/kube-1/disk\n":           "/tmp/kube-1/disk",
		"/tmp/kube-1/disk (deleted)\n": "/tmp/kube-1/disk",
	} {
		if got := backingFile(attribute); got != want {
			t.Errorf("backingFile(%q) = %q, want %q", attribute, got, want)
		}
	}
}

func TestAwaitKeeps(t *testing.T) {
	for input, want := range map[string]bool{
		"":              false,
		"keep\n":        true,
		"other\nkeep\n": true,
		"keeper\n":      false,
	} {
		if got := await(strings.NewReader(input)); got != want {
			t.Errorf("await(%q) = %t", input, got)
		}
	}
}
