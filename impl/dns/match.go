package dns

import "strings"

// MatchCNAME reports whether the name is an alias of exactly the wanted host.
func MatchCNAME(observed []string, want string) bool {
	return len(observed) == 1 && sameHost(observed[0], want)
}

// MatchMX reports whether the name's only mail exchanger is the host in want ("10 host"), which Amazon SES requires
// of a custom MAIL FROM domain. With one exchanger the preference has no effect, so any is accepted.
func MatchMX(observed []MX, want string) bool {
	wanted, err := ParseMX(want)
	return err == nil && len(observed) == 1 && sameHost(observed[0].Host, wanted.Host)
}

// MatchTXT reports whether one of the texts is the wanted one, ignoring surrounding white space. Other texts at the
// name do no harm.
func MatchTXT(observed []string, want string) bool {
	want = strings.TrimSpace(want)
	if want == "" {
		return false
	}
	for _, text := range observed {
		if strings.TrimSpace(text) == want {
			return true
		}
	}
	return false
}

// MatchSPF reports whether the texts hold exactly one SPF record and that record passes mail by "include:" of the
// given domain (RFC 7208). Several SPF records are an error for every receiver (section 4.5). Terms behind "all"
// are never evaluated (section 5.1), so an include there does not count; nor does one with the qualifier -, ~ or ?,
// which does not pass mail.
func MatchSPF(observed []string, include string) bool {
	var records [][]string
	for _, text := range observed {
		terms := strings.Split(lower(text), " ")
		if terms[0] == "v=spf1" {
			records = append(records, terms[1:])
		}
	}
	if len(records) != 1 || canonical(include) == "" {
		return false
	}
	for _, term := range records[0] {
		switch term {
		case "all", "+all", "-all", "~all", "?all":
			return false
		}
		domain, ok := strings.CutPrefix(strings.TrimPrefix(term, "+"), "include:")
		if ok && sameHost(domain, include) {
			return true
		}
	}
	return false
}

// MatchDMARC reports whether the texts hold exactly one DMARC record and that record states a policy: none,
// quarantine or reject (RFC 7489, section 6.3).
func MatchDMARC(observed []string) bool {
	var records [][]string
	for _, text := range observed {
		tags := strings.Split(text, ";")
		if name, value := tag(tags[0]); name == "v" && value == "DMARC1" {
			records = append(records, tags[1:])
		}
	}
	if len(records) != 1 {
		return false
	}
	var policies []string
	for _, text := range records[0] {
		if name, value := tag(text); name == "p" {
			policies = append(policies, lower(value))
		}
	}
	if len(policies) != 1 {
		return false
	}
	return policies[0] == "none" || policies[0] == "quarantine" || policies[0] == "reject"
}

// tag splits "name = value", where tag names are case-insensitive.
func tag(text string) (name, value string) {
	name, value, _ = strings.Cut(text, "=")
	return lower(strings.TrimSpace(name)), strings.TrimSpace(value)
}

func sameHost(observed, want string) bool {
	want = canonical(want)
	return want != "" && canonical(observed) == want
}
