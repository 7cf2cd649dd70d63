#include "thread_locals.h"
thread_local std::string there = "there, a text that is long enough for memory of its own";
static thread_local Noisy hidden("hidden");
int other_work(int id) { hidden.name = "hidden " + here.name; return id + static_cast<int>(hidden.name.size()); }
