package main

import (
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/csi-provisioner/csi-provisioner/pkg/names"
)

const eventsIntroduction = `# Events

Reasons are those of external-provisioner and external-resizer; texts are our own.
They name the object, the field, the value and the fix; a driver's error stands in
them as the driver has written it, without values of Secrets, and cut.

`

const eventsEnd = `
Client-go writes LeaderElection, Normal, on a lease when a process begins or ceases
to be its holder.
`

// eventsPage describes the events of a program whose source is in root.
func eventsPage(root string, events []names.Event) (string, error) {
	constants, err := declaredReasons(filepath.Join(root, "names"))
	if err != nil {
		return "", err
	}
	if err := errors.Join(checkTable(events, constants), checkUses(root, events, constants)); err != nil {
		return "", err
	}
	rows := newTable("reason", "type", "on", "when", "fix")
	for _, e := range events {
		rows.row(code(e.Reason), e.Type, e.Object, e.When, e.Fix)
	}
	return generated + eventsIntroduction + rows.String() + eventsEnd, nil
}

// declaredReasons returns the names of the constants that begin with Reason, by their
// values.
func declaredReasons(dir string) (map[string]string, error) {
	files, err := parseDir(dir)
	if err != nil {
		return nil, err
	}
	constants := map[string]string{}
	var errs []error
	for _, file := range files {
		ast.Inspect(file, func(node ast.Node) bool {
			spec, ok := node.(*ast.ValueSpec)
			if !ok || !strings.HasPrefix(spec.Names[0].Name, "Reason") {
				return true
			}
			literal, ok := spec.Values[0].(*ast.BasicLit)
			if !ok {
				errs = append(errs, fmt.Errorf("%s is not a string", spec.Names[0].Name))
				return false
			}
			reason, err := strconv.Unquote(literal.Value)
			errs = append(errs, err)
			constants[reason] = spec.Names[0].Name
			return false
		})
	}
	return constants, errors.Join(errs...)
}

// checkTable returns an error for each reason that the table lacks, and each row that
// lacks something.
func checkTable(events []names.Event, constants map[string]string) error {
	var errs []error
	described := map[string]bool{}
	for _, e := range events {
		described[e.Reason] = true
		switch {
		case e.Object == "" || e.When == "":
			errs = append(errs, fmt.Errorf("the event %s lacks its object, or when it is sent", e.Reason))
		case e.Type == names.EventWarning && e.Fix == "":
			errs = append(errs, fmt.Errorf("the event %s, a warning, has no fix", e.Reason))
		case e.Type != names.EventNormal && e.Type != names.EventWarning:
			errs = append(errs, fmt.Errorf("the event %s has the type %q", e.Reason, e.Type))
		}
	}
	for reason, constant := range constants {
		if !described[reason] {
			errs = append(errs, fmt.Errorf("%s is not in the table of events", constant))
		}
	}
	return errors.Join(errs...)
}

// checkUses returns an error for each reason that is not used, or used for an event
// of the other type.
func checkUses(root string, events []names.Event, constants map[string]string) error {
	uses := map[string]map[string]bool{} // by constant, the methods that it is given to; "" is any other use
	err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || !entry.IsDir() {
			return err
		}
		files, err := parseDir(path)
		for _, file := range files {
			noteUses(file, uses)
		}
		return err
	})
	if err != nil {
		return err
	}
	var errs []error
	for _, e := range events {
		constant := constants[e.Reason]
		switch other := map[string]string{names.EventNormal: names.EventWarning, names.EventWarning: names.EventNormal}[e.Type]; {
		case constant == "":
			errs = append(errs, fmt.Errorf("there is no constant for the event %s", e.Reason))
		case len(uses[constant]) == 0:
			errs = append(errs, fmt.Errorf("%s is used nowhere", constant))
		case uses[constant][other]:
			errs = append(errs, fmt.Errorf("%s is used for an event of the type %s, and the table says %s", constant, other, e.Type))
		}
	}
	return errors.Join(errs...)
}

// noteUses notes where names.Reason... stands.
func noteUses(file *ast.File, uses map[string]map[string]bool) {
	note := func(expression ast.Expr, method string) {
		selector, ok := expression.(*ast.SelectorExpr)
		if !ok || !isName(selector.X, "names") || !strings.HasPrefix(selector.Sel.Name, "Reason") {
			return
		}
		if uses[selector.Sel.Name] == nil {
			uses[selector.Sel.Name] = map[string]bool{}
		}
		uses[selector.Sel.Name][method] = true
	}
	ast.Inspect(file, func(node ast.Node) bool {
		switch n := node.(type) {
		case *ast.CallExpr:
			if called, ok := n.Fun.(*ast.SelectorExpr); ok {
				for _, argument := range n.Args {
					note(argument, called.Sel.Name)
				}
			}
		case *ast.SelectorExpr:
			note(n, "")
		}
		return true
	})
}

func isName(expression ast.Expr, name string) bool {
	identifier, ok := expression.(*ast.Ident)
	return ok && identifier.Name == name
}

// parseDir reads the Go files of a directory, but for its tests, in the order of
// their names.
func parseDir(dir string) ([]*ast.File, error) {
	paths, err := filepath.Glob(filepath.Join(dir, "*.go"))
	if err != nil {
		return nil, err
	}
	var files []*ast.File
	for _, path := range paths {
		if strings.HasSuffix(path, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ParseComments|parser.SkipObjectResolution)
		if err != nil {
			return nil, fmt.Errorf("reading events: %w", err)
		}
		files = append(files, file)
	}
	return files, nil
}
