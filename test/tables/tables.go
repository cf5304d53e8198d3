// Package tables finds what a value keeps in memory, for tests that ask whether all of it
// has an owner that empties it: what grows by a few bytes with each volume brings a
// process down after a year.
package tables

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
)

// NotEmpty returns the maps and slices in a value, also those behind pointers, that have
// elements, as "path: n". Interfaces, functions and channels are not looked into: they
// are what the value was made with. Nor are the fields with the given names.
func NotEmpty(value any, without ...string) []string {
	w := walk{without: without, seen: map[uintptr]bool{}}
	w.look("", reflect.ValueOf(value))
	return w.found
}

type walk struct {
	without []string
	seen    map[uintptr]bool
	found   []string
}

func (w *walk) look(path string, v reflect.Value) {
	switch v.Kind() {
	case reflect.Pointer:
		if !v.IsNil() && !w.seen[v.Pointer()] {
			w.seen[v.Pointer()] = true
			w.look(path, v.Elem())
		}
	case reflect.Struct:
		for n := range v.NumField() {
			if name := v.Type().Field(n).Name; !slices.Contains(w.without, name) {
				w.look(strings.TrimPrefix(path+"."+name, "."), v.Field(n))
			}
		}
	case reflect.Map, reflect.Slice:
		if v.Len() > 0 {
			w.found = append(w.found, fmt.Sprintf("%s: %d", path, v.Len()))
		}
	default:
	}
}
