#ifndef FILES_H
#define FILES_H
#include "kernel.h"
/// Opens files of the zone for the launcher until it closes its end. Returns only on failure: -errno, *step.
long serve_files(int announce, int32_t *step);
#endif
