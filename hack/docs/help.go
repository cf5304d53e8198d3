package main

import (
	"errors"
	"fmt"
	"maps"
	"os/exec"
	"regexp"
	"slices"
	"strings"
)

// checkPeers compares what this program says about the flags of external-provisioner
// and external-resizer with what they say themselves.
func checkPeers(provisioner, resizer string) error {
	var errs []error
	for path, ours := range map[string]func(peerFlag) *string{
		provisioner: func(p peerFlag) *string { return p.provisioner },
		resizer:     func(p peerFlag) *string { return p.resizer },
	} {
		help, err := exec.Command(path, "--help").CombinedOutput()
		if err != nil {
			errs = append(errs, fmt.Errorf("running %s --help: %w", path, err))
			continue
		}
		for _, err := range compareFlags(ours, defaultsIn(string(help))) {
			errs = append(errs, fmt.Errorf("%s: %w", path, err))
		}
	}
	return errors.Join(errs...)
}

func compareFlags(ours func(peerFlag) *string, theirs map[string]string) []error {
	var errs []error
	for name, flag := range peerFlags() {
		told := ours(flag)
		actual, exists := theirs[name]
		switch {
		case told == nil && exists:
			errs = append(errs, fmt.Errorf("it has --%s, and hack/docs/peers.go says that it has not", name))
		case told != nil && !exists:
			errs = append(errs, fmt.Errorf("it has no --%s, and hack/docs/peers.go says that it has", name))
		case told != nil && visible(*told) != actual:
			errs = append(errs, fmt.Errorf("the default of --%s is %q, and hack/docs/peers.go says %q", name, actual, *told))
		}
		delete(theirs, name)
	}
	for _, name := range slices.Sorted(maps.Keys(theirs)) {
		errs = append(errs, fmt.Errorf("it has --%s, which is not in hack/docs/peers.go", name))
	}
	return errs
}

// visible returns a default as help texts show it: not at all if it is zero.
func visible(value string) string {
	if slices.Contains([]string{"false", "0", "0s", "map[]"}, value) {
		return ""
	}
	return value
}

// defaultsIn returns the flags that a help text of pflag or the standard library
// describes, and their defaults.
func defaultsIn(help string) map[string]string {
	head := regexp.MustCompile(`^ +(?:-\w, )?--?([a-z]\S*)`)
	defaults := map[string]string{}
	name := ""
	for line := range strings.Lines(help) {
		if match := head.FindStringSubmatch(line); match != nil {
			name, _, _ = strings.Cut(match[1], "=")
			defaults[name] = ""
		}
		if match := regexp.MustCompile(`\(default "?([^")]*)"?\)\s*$`).FindStringSubmatch(line); match != nil && name != "" {
			defaults[name] = visible(match[1])
		}
	}
	delete(defaults, "help")
	return defaults
}
