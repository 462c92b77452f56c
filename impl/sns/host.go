package sns

import (
	"slices"
	"strings"
)

// host returns the host of Amazon SNS in the region of a topic, and "" for a partition that is not known. Only that host
// serves the certificates and confirmations of the topic: a pattern would also admit a bucket of S3 called sns, whose host
// is sns.s3.amazonaws.com.
// https://docs.aws.amazon.com/general/latest/gr/sns.html
func host(topic string) string {
	partition, region := partitionAndRegion(topic)
	suffix := domainSuffix(partition)
	if suffix == "" || region == "" || strings.Trim(region, "abcdefghijklmnopqrstuvwxyz0123456789-") != "" {
		return ""
	}
	// No region has the name of another service's global endpoint: a region has a number.
	if !strings.ContainsAny(region, "0123456789") || !strings.Contains(region, "-") {
		return ""
	}
	return "sns." + region + "." + suffix
}

// domainSuffix returns the DNS suffix of a partition of AWS.
func domainSuffix(partition string) string {
	switch partition {
	case "aws", "aws-us-gov":
		return "amazonaws.com"
	case "aws-cn":
		return "amazonaws.com.cn"
	case "aws-eusc":
		return "amazonaws.eu"
	}
	return ""
}

func partitionAndRegion(topic string) (partition, region string) {
	parts := strings.Split(topic, ":")
	if len(parts) != 6 || parts[0] != "arn" || parts[2] != "sns" {
		return "", ""
	}
	return parts[1], parts[3]
}

// certificateNames returns the names of which the certificate of a topic must have one. AWS signs under a name for all older
// regions, and under one of their own for regions that have to be opted into, for China and for GovCloud; the AWS SDK for
// Java (SnsHostProvider) holds the same list.
func certificateNames(topic string) []string {
	partition, region := partitionAndRegion(topic)
	suffix := domainSuffix(partition)
	names := []string{"sns." + region + "." + suffix, "sns-signing." + region + "." + suffix}
	switch partition {
	case "aws":
		names = append(names, "sns.amazonaws.com")
	case "aws-cn":
		names = append(names, "sns-"+region+".amazonaws.com.cn")
	case "aws-us-gov":
		names = append(names, "sns-us-gov-west-1.amazonaws.com")
	}
	slices.Sort(names)
	return names
}
