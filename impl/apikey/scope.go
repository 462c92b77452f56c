package apikey

import "slices"

// Scopes returns every scope that a key can have, in the order of the documentation.
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

// Covers reports whether a key with the given scopes has at least one of anyOf. For an empty anyOf it returns
// false.
func Covers(have, anyOf []string) bool {
	return slices.ContainsFunc(anyOf, func(scope string) bool { return slices.Contains(have, scope) })
}

// Missing returns the wanted scopes that a key lacks, in the order of want, or nil if it has them all.
func Missing(have, want []string) []string {
	var missing []string
	for _, scope := range want {
		if !slices.Contains(have, scope) {
			missing = append(missing, scope)
		}
	}
	return missing
}
