// Command compare plays the scenarios of test/e2e/compare with this project's
// sidecar and with its peers, external-provisioner and external-resizer, on a
// cluster of its own, and prints a table of the differences.
//
//	compare --scenarios=test/e2e/compare/scenarios --rows=docs/compatibility.md secret
//
// plays those whose names match the regular expression. The exit code is 1 when
// there is a difference that is not expected, or one that is expected is not there.
// Ctrl-C ends the run with the table so far.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/go-logr/logr"
	"github.com/spf13/pflag"
	"k8s.io/klog/v2"

	"github.com/csi-provisioner/csi-provisioner/test/e2e/compare"
	"github.com/csi-provisioner/csi-provisioner/test/e2e/stage"
)

type flags struct {
	scenarios, rows string
	core, keep      bool
	lanes           int
	records         string
}

func main() {
	var f flags
	set := pflag.NewFlagSet("compare", pflag.ExitOnError)
	set.StringVar(&f.scenarios, "scenarios", "test/e2e/compare/scenarios", "directory of the scenarios")
	set.StringVar(&f.rows, "rows", "docs/compatibility.md", "document whose rows explain differences")
	set.BoolVar(&f.core, "core", false, "play the core scenarios only")
	set.IntVar(&f.lanes, "lanes", 4, "scenarios at one time")
	set.StringVar(&f.records, "records", "", "directory to write what was compared to")
	set.BoolVar(&f.keep, "keep", false, "keep the logs")
	_ = set.Parse(os.Args[1:])     // exits on error
	klog.SetLogger(logr.Discard()) // client-go tells of connections that end with the cluster
	ctx, restore := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	sound, err := run(ctx, f, set.Args())
	restore()
	if err != nil {
		fmt.Fprintln(os.Stderr, "compare:", err)
	}
	if err != nil || !sound {
		os.Exit(1)
	}
}

// run tells whether all is as expected.
func run(ctx context.Context, f flags, patterns []string) (sound bool, err error) {
	scenarios, rows, err := f.load(patterns)
	if err != nil {
		return false, err
	}
	say := func(message string) { fmt.Println(message) }
	s, err := stage.Open(ctx, stage.Options{Progress: say})
	if err != nil {
		return false, err
	}
	defer func() { err = errors.Join(err, s.End(f.keep, say)) }()
	programs, err := compare.ProgramsIn(s)
	if err != nil {
		return false, err
	}
	begin, done := time.Now(), 0
	results, err := compare.Run(ctx, s, scenarios, compare.Options{
		Programs: programs, Rows: rows, Lanes: f.lanes,
		Progress: func(r compare.Result) {
			done++
			say(fmt.Sprintf("%5.0fs  %3d of %d  %s: %s", time.Since(begin).Seconds(), done, len(scenarios), r.Scenario.Name, r.Summary()))
			err = errors.Join(err, f.write(r))
		},
	})
	say("\n" + compare.Table(results))
	for _, result := range results {
		fmt.Print(result.Details())
	}
	sound = len(results) == len(scenarios) && !slices.ContainsFunc(results, func(r compare.Result) bool { return !r.Sound() })
	return sound, err
}

// load reads the scenarios that are to be played, and the names of the rows.
func (f flags) load(patterns []string) ([]*compare.Scenario, []string, error) {
	document, err := os.ReadFile(f.rows)
	if err != nil {
		return nil, nil, fmt.Errorf("reading the rows: %w", err)
	}
	rows, err := compare.Rows(string(document))
	if err != nil {
		return nil, nil, fmt.Errorf("reading the rows of %s: %w", f.rows, err)
	}
	scenarios, err := compare.Load(os.DirFS(f.scenarios))
	if err != nil {
		return nil, nil, err
	}
	chosen, err := choose(scenarios, f.core, patterns)
	return chosen, rows, err
}

// choose selects scenarios whose names match one of the patterns, all without one.
func choose(scenarios []*compare.Scenario, core bool, patterns []string) ([]*compare.Scenario, error) {
	var expressions []*regexp.Regexp
	for _, pattern := range patterns {
		expression, err := regexp.Compile(pattern)
		if err != nil {
			return nil, fmt.Errorf("reading the names of scenarios: %w", err)
		}
		expressions = append(expressions, expression)
	}
	chosen := slices.DeleteFunc(scenarios, func(s *compare.Scenario) bool {
		named := len(expressions) == 0 || slices.ContainsFunc(expressions, func(e *regexp.Regexp) bool { return e.MatchString(s.Name) })
		return !named || core && !s.Core
	})
	if len(chosen) == 0 {
		return nil, errors.New("there are no such scenarios")
	}
	return chosen, nil
}

// write writes what was compared to files.
func (f flags) write(r compare.Result) error {
	if f.records == "" {
		return nil
	}
	if err := os.MkdirAll(f.records, 0o755); err != nil {
		return fmt.Errorf("writing records: %w", err)
	}
	for name, record := range map[string]any{"own": r.Own, "peer": r.Peer} {
		content, err := json.MarshalIndent(record, "", "  ")
		if err != nil {
			return fmt.Errorf("encoding records: %w", err)
		}
		if err := os.WriteFile(filepath.Join(f.records, strings.ReplaceAll(r.Scenario.Name, "/", ".")+"."+name+".json"), content, 0o644); err != nil {
			return fmt.Errorf("writing records: %w", err)
		}
	}
	return nil
}
