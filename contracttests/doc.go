// Package contracttests tests the API from outside: over real HTTP, with real Postgres and the real AWS SDK against the
// simulator. README.md says what is here and where to add a test.
//
//   - stack_test.go: a whole server for one test; tenant_test.go: an organization with a key and a domain
//   - exchange_test.go: requests, and the transport that records every exchange; contract_test.go: openapi.yaml as
//     their judge; coverage_test.go: the counts of all tests, and the report
//   - status_matrix_test.go: the table of every operation with every status; status_matrix_scene_test.go: what its
//     requests need; status_matrix_judge_test.go: what its exchanges must be; mutations_test.go: proof that the judge
//     notices every change
//   - deployment_test.go: the same table against any server (-url, -key)
//   - spec_test.go, examples_test.go: openapi.yaml itself; published_test.go: what is served of it; pages_test.go,
//     guide_test.go: what a browser shows of it; try_it_test.go: what /docs fills in; generated_test.go: requests made from it;
//     links_test.go: where its links lead, and links_pages_test.go: through the pages of lists
//   - one file per tag for its operations; error_precedence_test.go, body_test.go and outage_test.go for rules of all
//   - architecture_test.go: which package may import which, how large one may be, and the file lists of package docs
package contracttests
