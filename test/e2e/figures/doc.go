// Package figures measures processes and shows what was measured: medians, tables in
// Markdown, and reports as files. The figures of a process are those that Linux keeps
// of it and those that it serves as metrics.
package figures
