package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/spf13/pflag"

	"github.com/csi-provisioner/csi-provisioner/pkg/explain"
)

// explainCommand is the first argument that asks for explanations.
const explainCommand = "explain"

// exitRefused says that a claim gets no volume.
const exitRefused = 3

// runExplain explains what would become of the claims of manifests, and returns the
// exit code.
func runExplain(args []string, environment func(string) string, input io.Reader, output, errorOutput io.Writer) int {
	o, err := parseExplain(args, environment, errorOutput)
	switch {
	case errors.Is(err, pflag.ErrHelp):
		return 0
	case err != nil:
		fmt.Fprintln(errorOutput, err)
		return exitUsage
	}
	all, err := o.explain(input)
	if err == nil {
		err = explain.Write(output, all)
	}
	if err != nil {
		fmt.Fprintln(errorOutput, err)
		return exitFailure
	}
	for _, e := range all {
		if e.Outcome == explain.Refused {
			return exitRefused
		}
	}
	return 0
}

func (o explainOptions) explain(input io.Reader) ([]explain.Explanation, error) {
	objects := &explain.Objects{}
	for _, file := range o.files {
		if err := readInto(objects, file, input); err != nil {
			return nil, err
		}
	}
	if len(objects.Claims) == 0 {
		return nil, fmt.Errorf("there is no PersistentVolumeClaim in %q", o.files)
	}
	return explain.Explain(context.Background(), objects, o.settings)
}

// readInto reads a file, or input for "-".
func readInto(objects *explain.Objects, file string, input io.Reader) error {
	if file == "-" {
		return objects.Read("the standard input", input)
	}
	content, err := os.Open(file)
	if err != nil {
		return err
	}
	defer content.Close()
	return objects.Read(file, content)
}
