#ifndef STAGE_PLAN_H
#define STAGE_PLAN_H
#define STAGE_PLAN_VERSION 1
#endif
