package main

import (
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
)

const eventsIntroduction = `# Events

Reasons are those of external-provisioner and external-resizer; texts are our own.
They name the object, the field, the value and the mend; a driver's error stands in
them as the driver has written it, without values of Secrets, and cut.

`

const eventsEnd = `
Client-go writes LeaderElection, Normal, on a lease when a process begins or ceases
to be its holder.
`

// event is a reason that the program gives.
type event struct {
	constant, reason, kind, object, when, mend string
}

// eventsPage describes the events whose reasons are constants in pkg/names.
func eventsPage(root string) (string, error) {
	events, err := declaredEvents(filepath.Join(root, "names"))
	if err != nil {
		return "", err
	}
	if err := checkUses(root, events); err != nil {
		return "", err
	}
	rows := newTable("reason", "type", "on", "when", "mend")
	for _, e := range events {
		rows.row(code(e.reason), e.kind, e.object, e.when, e.mend)
	}
	return generated + eventsIntroduction + rows.String() + eventsEnd, nil
}

// declaredEvents reads the constants that begin with Reason, and their comments.
func declaredEvents(dir string) ([]event, error) {
	files, err := parseDir(dir)
	if err != nil {
		return nil, err
	}
	var events []event
	var errs []error
	for _, file := range files {
		ast.Inspect(file, func(node ast.Node) bool {
			spec, ok := node.(*ast.ValueSpec)
			if !ok || !strings.HasPrefix(spec.Names[0].Name, "Reason") {
				return true
			}
			e, err := describe(spec)
			if err != nil {
				errs = append(errs, err)
			}
			events = append(events, e)
			return false
		})
	}
	return events, errors.Join(errs...)
}

// describe reads a comment of the form "Name, Type, on a thing: when. Mend: what to
// do.", of which the mend may be missing where nothing is wrong.
func describe(spec *ast.ValueSpec) (event, error) {
	name := spec.Names[0].Name
	text := strings.Join(strings.Fields(spec.Doc.Text()), " ")
	match := regexp.MustCompile(`^` + name + `, (Normal|Warning), on ([^:]+): (.+?)\.(?: Mend: (.+)\.)?$`).FindStringSubmatch(text)
	if match == nil {
		return event{}, fmt.Errorf("the comment of %s must have the form %q, and has %q", name, name+", Normal, on a claim: when it is written. Mend: what to do.", text)
	}
	if match[1] == "Warning" && match[4] == "" {
		return event{}, fmt.Errorf("the comment of %s, a warning, tells no mend", name)
	}
	literal, ok := spec.Values[0].(*ast.BasicLit)
	if !ok {
		return event{}, fmt.Errorf("%s is not a string", name)
	}
	reason, err := strconv.Unquote(literal.Value)
	if err != nil {
		return event{}, fmt.Errorf("reading %s: %w", name, err)
	}
	return event{constant: name, reason: reason, kind: match[1], object: match[2], when: match[3], mend: match[4]}, nil
}

// checkUses returns an error for each reason that is not used, or used for an event
// of the other type.
func checkUses(root string, events []event) error {
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
		switch other := map[string]string{"Normal": "Warning", "Warning": "Normal"}[e.kind]; {
		case len(uses[e.constant]) == 0:
			errs = append(errs, fmt.Errorf("%s is used nowhere", e.constant))
		case uses[e.constant][other]:
			errs = append(errs, fmt.Errorf("%s is used for an event of the type %s, and its comment says %s", e.constant, other, e.kind))
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
