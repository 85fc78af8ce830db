/* Prints by how many kilohertz this machine's time stamp counter goes (RDTSC), measured over a fifth of a second against
 * CLOCK_MONOTONIC_RAW. A pair of readings counts where nothing came between its two halves, however busy the machine is. */
#include <stdint.h>
#include <stdio.h>
#include <time.h>
#include <x86intrin.h>

struct pair {
	uint64_t ticks, nanoseconds;
};

static struct pair take(void) {
	struct pair best = { 0, 0 };
	uint64_t width = UINT64_MAX;
	for (int turn = 0; turn < 1000; turn++) {
		struct timespec now;
		uint64_t before = __rdtsc();
		clock_gettime(CLOCK_MONOTONIC_RAW, &now);
		uint64_t after = __rdtsc();
		if (after - before >= width)
			continue;
		width = after - before;
		best.ticks = before + width / 2;
		best.nanoseconds = (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
	}
	return best;
}

int main(void) {
	struct pair first = take();
	struct timespec rest = { 0, 200000000 };
	while (nanosleep(&rest, &rest) != 0) {}
	struct pair second = take();
	double seconds = (double)(second.nanoseconds - first.nanoseconds) / 1e9;
	printf("%.0f\n", (double)(second.ticks - first.ticks) / seconds / 1000);
	return 0;
}
