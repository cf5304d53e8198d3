package topology

import (
	corev1 "k8s.io/api/core/v1"
)

// Flatten returns the terms that a class's allowedTopologies stand for: for
// each selector term, every combination of one value of each of its
// expressions.
func Flatten(selectors []corev1.TopologySelectorTerm) *Set {
	var terms []Term
	for _, selector := range selectors {
		terms = append(terms, combinations(selector.MatchLabelExpressions)...)
	}
	return NewSet(terms)
}

func combinations(expressions []corev1.TopologySelectorLabelRequirement) []Term {
	if len(expressions) == 0 {
		return nil
	}
	partial := []map[string]string{{}}
	for _, expression := range expressions {
		var longer []map[string]string
		for _, value := range expression.Values {
			for _, segments := range partial {
				longer = append(longer, with(segments, expression.Key, value))
			}
		}
		partial = longer
	}
	terms := make([]Term, 0, len(partial))
	for _, segments := range partial {
		terms = append(terms, NewTerm(segments))
	}
	return terms
}

func with(segments map[string]string, key, value string) map[string]string {
	longer := make(map[string]string, len(segments)+1)
	for k, v := range segments {
		longer[k] = v
	}
	longer[key] = value
	return longer
}
