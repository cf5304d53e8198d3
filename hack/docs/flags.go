package main

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/pflag"
	_ "k8s.io/component-base/logs/json/register" // It has flags of its own.

	"github.com/csi-provisioner/csi-provisioner/pkg/options"
)

const flagsIntroduction = `# Flags

Flags are written as ` + "`--name=value`" + `; a flag that turns something on may stand without
its value. All that are wrong are named at once, and end the program with code 2.
Started as ` + "`csi-resizer`" + ` it takes one dash, too, and ` + "`--controllers=resizer`" + ` by itself.

The column "peers" tells which of external-provisioner (P) and external-resizer (R)
has the flag, too; the last one, what is different there. Where it is empty, type,
default and meaning are the same.

`

const gatesIntroduction = `
## Feature gates

` + "`--feature-gates=Name=true,Name=false`; `AllAlpha` and `AllBeta`" + ` set all of a stage that
are not set themselves.

`

const environmentIntroduction = `
## Environment variables

`

const retiredIntroduction = `
## Flags that are gone

Older sidecars took these. They are refused, with what to do instead.

`

// flagsPage describes the flags that there are and the older ones.
func flagsPage() (string, error) {
	known := peerFlags()
	rows := newTable("flag", "type", "default", "meaning", "peers", "there")
	var errs []error
	options.Flags().VisitAll(func(f *pflag.Flag) {
		peer := known[f.Name]
		delete(known, f.Name)
		rows.row(code(dashed(f)), f.Value.Type(), code(f.DefValue), f.Usage, peer.letters(), peer.differences(f.DefValue))
	})
	for _, name := range slices.Sorted(maps.Keys(known)) {
		errs = append(errs, fmt.Errorf("--%s is a flag of the peers, but not of this program", name))
	}
	gates := newTable("gate", "stage", "default", "meaning")
	for _, gate := range options.FeatureGates() {
		gates.row(code(gate.Name), gate.Stage, code(strconv.FormatBool(gate.Default)), gate.Meaning)
	}
	variables := newTable("variable", "meaning")
	for _, variable := range options.Environment() {
		variables.row(code(variable.Name), variable.Meaning)
	}
	retired := newTable("flag", "instead")
	for _, flag := range options.RetiredFlags() {
		retired.row(code("--"+flag.Name), flag.Fix)
	}
	return generated + flagsIntroduction + rows.String() +
		gatesIntroduction + gates.String() +
		environmentIntroduction + variables.String() +
		retiredIntroduction + retired.String(), errors.Join(errs...)
}

func dashed(f *pflag.Flag) string {
	if f.Shorthand == "" {
		return "--" + f.Name
	}
	return fmt.Sprintf("-%s, --%s", f.Shorthand, f.Name)
}

// letters tells which peers have the flag.
func (p peerFlag) letters() string {
	var all []string
	if p.provisioner != nil {
		all = append(all, "P")
	}
	if p.resizer != nil {
		all = append(all, "R")
	}
	return strings.Join(all, ", ")
}

// differences tells what is different in the peers. A difference of the defaults
// needs no words, unless there is more to it.
func (p peerFlag) differences(ours string) string {
	var all []string
	for _, there := range []struct {
		name  string
		value *string
	}{{"P", p.provisioner}, {"R", p.resizer}} {
		if there.value != nil && *there.value != ours {
			all = append(all, fmt.Sprintf("%s: default `%s`", there.name, *there.value))
		}
	}
	if p.note != "" {
		all = append(all, p.note)
	}
	return strings.Join(all, "; ")
}
