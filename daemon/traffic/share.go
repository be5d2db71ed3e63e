package traffic

import (
	"cmp"
	"slices"

	"github.com/wedsync/terraform-provider-wedsync/daemon/fleet"
)

// scale is what whole weights are multiplied by, so that shares of shares are whole too.
const scale = 10_000

// workload is what a split is about.
type workload struct{ definition, environment string }

// shares are the weights of a service's healthy endpoints, as whole numbers whose
// proportions are those of the requests, and whether each belongs to a deployment
// in progress. Where no deployment shares its workload's requests out, they are
// the endpoints' own weights. Where one does, its replicas together have its
// percentage of what the workload has, and the others have the rest; a side that
// has nobody leaves all to the other, but a deployment at 0 % never gets any.
func shares(endpoints []fleet.Endpoint, splits []fleet.Split) (weights []int64, incoming []bool) {
	weights, incoming = make([]int64, len(endpoints)), make([]bool, len(endpoints))
	byWorkload := make(map[workload]fleet.Split, len(splits))
	for _, s := range splits {
		byWorkload[workload{s.DefinitionID, s.Environment}] = s
	}
	type sides struct{ before, incoming int64 }
	sums := make(map[workload]sides)
	for k, e := range endpoints {
		weights[k] = int64(e.Weight) * scale
		w := workload{e.DefinitionID, e.Environment}
		split, ok := byWorkload[w]
		if !ok || e.External() {
			continue
		}
		incoming[k] = e.DeploymentID == split.DeploymentID
		sum := sums[w]
		if incoming[k] {
			sum.incoming += int64(e.Weight)
		} else {
			sum.before += int64(e.Weight)
		}
		sums[w] = sum
	}
	for k, e := range endpoints {
		w := workload{e.DefinitionID, e.Environment}
		sum, ok := sums[w]
		if !ok {
			continue
		}
		weights[k] = sideWeight(int64(e.Weight), byWorkload[w].Weight, incoming[k], sum.before, sum.incoming)
	}
	return weights, incoming
}

// sideWeight is the weight of one endpoint of a workload that is split.
func sideWeight(own int64, percent int, isIncoming bool, before, incoming int64) int64 {
	mine, other, share := before, incoming, int64(100-percent)
	if isIncoming {
		mine, other, share = incoming, before, int64(percent)
	}
	switch {
	case isIncoming && percent == 0, own == 0:
		return 0
	case other == 0, !isIncoming && percent > 0 && incoming == 0:
		return own * scale
	}
	// The workload keeps the weight that it has without the split, that of the side
	// which was there before.
	return own * scale * before * share / (100 * mine)
}

// sorted are endpoints in an order that does not depend on when they came.
func sorted(endpoints []fleet.Endpoint) []fleet.Endpoint {
	list := slices.Clone(endpoints)
	slices.SortFunc(list, func(a, b fleet.Endpoint) int { return cmp.Compare(a.ID, b.ID) })
	return list
}
