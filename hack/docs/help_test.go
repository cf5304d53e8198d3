package main

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const pflagHelp = `Usage of program:
      --bool                      Turns it on.
      --on                        Off is possible. (default true)
      --time duration             How long. (default 10s)
      --word string               Which. (default "pvc")
      --map mapStringBool         Known are:
                                  A=true|false (ALPHA - default=false)
      --labels stringMap          Labels. (default map[])
      --maybe boolFunc[=true]     Perhaps.
  -v, --v Level                   number
`

const standardHelp = `Usage of program:
  -bool
    	Turns it on.
  -time duration
    	How long (in the default unit).
    	Or longer. (default 10s)
  -word string
    	Which. (default "pvc")
  -none value
    	-not a flag of its own
`

func TestDefaultsInHelp(t *testing.T) {
	for name, test := range map[string]struct {
		help string
		want map[string]string
	}{
		"pflag":    {pflagHelp, map[string]string{"bool": "", "on": "true", "time": "10s", "word": "pvc", "map": "", "labels": "", "maybe": "", "v": ""}},
		"standard": {standardHelp, map[string]string{"bool": "", "time": "10s", "word": "pvc", "none": ""}},
	} {
		if diff := cmp.Diff(test.want, defaultsIn(test.help)); diff != "" {
			t.Errorf("%s: defaults (-want +got):\n%s", name, diff)
		}
	}
}

func TestWhatIsToldOfPeersIsCompared(t *testing.T) {
	of := func(p peerFlag) *string { return p.provisioner }
	theirs := func(change func(map[string]string)) map[string]string {
		all := map[string]string{}
		for name, flag := range peerFlags() {
			if value := of(flag); value != nil {
				all[name] = visible(*value)
			}
		}
		change(all)
		return all
	}
	for name, test := range map[string]struct {
		change func(map[string]string)
		want   string
	}{
		"the same":        {func(map[string]string) {}, ""},
		"another default": {func(all map[string]string) { all["timeout"] = "15s" }, `the default of --timeout is "15s"`},
		"one less":        {func(all map[string]string) { delete(all, "timeout") }, "it has no --timeout"},
		"one more":        {func(all map[string]string) { all["new"] = "" }, "it has --new, which is not in"},
		"not the other's": {func(all map[string]string) { all["resync-period"] = "" }, "it has --resync-period, and"},
	} {
		err := errors.Join(compareFlags(of, theirs(test.change))...)
		if (err == nil) != (test.want == "") || err != nil && !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: error %v, want %q", name, err, test.want)
		}
	}
}
