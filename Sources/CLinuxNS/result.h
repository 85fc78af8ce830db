#ifndef RESULT_H
#define RESULT_H
#include <errno.h>

/// A call's result, or -errno.
#define RESULT(call) ({ long r_ = (long)(call); r_ < 0 ? -(long)errno : r_; })

#endif
