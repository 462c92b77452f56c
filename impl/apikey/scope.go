package apikey

import "slices"

// Scopes returns every scope that a key can carry, in the order in which they
// are documented.
func Scopes() []string {
	return []string{
		"emails:send", "emails:read",
		"domains:read", "domains:write",
		"api-keys:read", "api-keys:write",
		"billing:read",
		"webhooks:read", "webhooks:write",
		"templates:read", "templates:write",
		"suppressions:read", "suppressions:write",
	}
}

// Covers tells whether a key that has some scopes has any one of those that
// suffice. Where none suffices the answer is no.
func Covers(have, anyOf []string) bool {
	return slices.ContainsFunc(anyOf, func(scope string) bool { return slices.Contains(have, scope) })
}

// Missing returns the wanted scopes that are not among those a key has, in the
// order in which they are wanted; nil when there are none.
func Missing(have, want []string) []string {
	var missing []string
	for _, scope := range want {
		if !slices.Contains(have, scope) {
			missing = append(missing, scope)
		}
	}
	return missing
}
