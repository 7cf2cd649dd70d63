// Satisfiability: random instances around the threshold, pigeonholes, incremental solving under assumptions, learned
// clauses handed out, iteration over clauses, files; and C++ of its own: exceptions, virtual calls, static constructors.
#include "../common.h"
#include "cadical.hpp"

#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

namespace {

struct Announce {
    explicit Announce(const char *what) : what(what) { printf("constructed: %s\n", what); }
    ~Announce() { printf("destroyed: %s\n", what); }
    const char *what;
};

Announce at_start("before main");

struct Learned : CaDiCaL::Learner {
    size_t clauses = 0, literals = 0;
    bool learning(int size) override { return size < 4; }
    void learn(int literal) override { literal ? ++literals : ++clauses; }
};

struct Sum : CaDiCaL::ClauseIterator {
    uint64_t sum = 0, clauses = 0;
    bool clause(const std::vector<int> &literals) override {
        for (int literal : literals) sum = sum * 31 + static_cast<uint64_t>(literal + 100000);
        ++clauses;
        return true;
    }
};

struct Unsolved : std::runtime_error {
    using std::runtime_error::runtime_error;
};

std::vector<std::vector<int>> random_instance(int variables, double ratio, uint64_t seed) {
    Rng rng = {seed};
    std::vector<std::vector<int>> clauses;
    for (int i = 0; i < static_cast<int>(variables * ratio); i++) {
        std::vector<int> clause;
        while (clause.size() < 3) {
            int variable = 1 + static_cast<int>(rng_below(&rng, static_cast<uint32_t>(variables)));
            clause.push_back(rng_next(&rng) & 1 ? variable : -variable);
        }
        clauses.push_back(clause);
    }
    return clauses;
}

int solve(const std::string &name, const std::vector<std::vector<int>> &clauses, int variables) {
    auto solver = std::make_unique<CaDiCaL::Solver>();
    Learned learned;
    Sum sum;
    solver->set("seed", 3);
    solver->connect_learner(&learned);
    for (const auto &clause : clauses) solver->clause(clause);
    solver->traverse_clauses(sum);
    int status = solver->solve();
    uint64_t model = 0;
    if (status == 10) {
        for (int variable = 1; variable <= variables; variable++) model = model * 3 + (solver->val(variable) > 0);
        for (const auto &clause : clauses) {
            bool satisfied = false;
            for (int literal : clause) satisfied |= solver->val(literal) == literal;
            require(satisfied, "the model satisfies each clause");
        }
    }
    printf("%s: %d, model %016llx, %zu learned of %zu literals, %llu clauses %016llx\n", name.c_str(), status,
           static_cast<unsigned long long>(model), learned.clauses, learned.literals,
           static_cast<unsigned long long>(sum.clauses), static_cast<unsigned long long>(sum.sum));
    solver->disconnect_learner();
    if (status != 10 && status != 20) throw Unsolved(name);
    return status;
}

// `pigeons` into one hole fewer.
std::vector<std::vector<int>> pigeonhole(int pigeons) {
    int holes = pigeons - 1;
    std::vector<std::vector<int>> clauses;
    auto in = [holes](int pigeon, int hole) { return pigeon * holes + hole + 1; };
    for (int pigeon = 0; pigeon < pigeons; pigeon++) {
        clauses.emplace_back();
        for (int hole = 0; hole < holes; hole++) clauses.back().push_back(in(pigeon, hole));
        for (int other = 0; other < pigeon; other++)
            for (int hole = 0; hole < holes; hole++) clauses.push_back({-in(pigeon, hole), -in(other, hole)});
    }
    return clauses;
}

void incremental() {
    CaDiCaL::Solver solver;
    auto clauses = random_instance(120, 3.6, 17);
    for (const auto &clause : clauses) solver.clause(clause);
    uint64_t sum = 0;
    for (int variable = 1; variable <= 120; variable++) {
        solver.assume(variable);
        solver.assume(variable % 7 ? -(variable % 120 + 1) : variable % 120 + 1);
        int status = solver.solve();
        sum = sum * 31 + static_cast<uint64_t>(status) + (status == 20 ? solver.failed(variable) : 0u);
        if (status == 20) solver.clause(-variable, variable % 120 + 1, variable % 119 + 1);
    }
    printf("incremental: %016llx, simplified %d, active %d\n", static_cast<unsigned long long>(sum), solver.simplify(),
           solver.active());
    require(solver.write_dimacs("instance.cnf") == nullptr, "write");
    CaDiCaL::Solver again;
    int variables = 0;
    require(again.read_dimacs("instance.cnf", variables) == nullptr, "read");
    printf("from a file: %d variables, %d\n", variables, again.solve());
    CaDiCaL::Solver fresh;
    const char *error = fresh.read_dimacs("nowhere.cnf", variables);
    printf("no such file: %s\n", error ? "refused" : "taken");
    remove("instance.cnf");
}

} // namespace

int main() {
    static Announce in_main("inside main");
    printf("cadical %s\n", CaDiCaL::Solver::version());
    int counts[21] = {};
    for (uint64_t seed = 1; seed <= 30; seed++)
        counts[solve("random " + std::to_string(seed), random_instance(150, 4.2, seed * 7919), 150)]++;
    printf("satisfiable %d, unsatisfiable %d\n", counts[10], counts[20]);
    solve("pigeonhole", pigeonhole(8), 56);
    incremental();
    try {
        CaDiCaL::Solver limited;
        for (const auto &clause : pigeonhole(10)) limited.clause(clause);
        limited.limit("conflicts", 50);
        if (limited.solve() == 0) throw Unsolved("the limit was reached");
    } catch (const std::exception &error) {
        printf("caught: %s\n", error.what());
    }
    fflush(stdout);
    return counts[10];
}
