// A bumpy torus made here: deduplicated, reordered for caches, simplified, cut into meshlets and clusters, packed and
// unpacked by every codec and filter.
#include "../common.h"
#include "meshoptimizer.h"

#include <cmath>
#include <vector>

namespace {

struct Vertex {
    float position[3];
    float normal[3];
    float uv[2];
};

using Indices = std::vector<unsigned int>;

template <typename T> void show(const char *what, const std::vector<T> &values) {
    report(what, values.data(), values.size() * sizeof(T));
}

// `rings` by `sides` quads, vertices repeated for each triangle.
std::vector<Vertex> torus(int rings, int sides) {
    std::vector<Vertex> soup;
    auto vertex = [&](int ring, int side) {
        float u = float(ring % rings) / float(rings), v = float(side % sides) / float(sides);
        float a = u * 6.2831853f, b = v * 6.2831853f, r = 1 + 0.4f * cosf(b) + 0.02f * sinf(9 * a) * cosf(7 * b);
        return Vertex{{r * cosf(a), r * sinf(a), 0.4f * sinf(b)}, {cosf(b) * cosf(a), cosf(b) * sinf(a), sinf(b)}, {u, v}};
    };
    for (int ring = 0; ring < rings; ring++)
        for (int side = 0; side < sides; side++)
            for (auto [dr, ds] : {std::pair{0, 0}, {1, 0}, {1, 1}, {0, 0}, {1, 1}, {0, 1}})
                soup.push_back(vertex(ring + dr, side + ds));
    return soup;
}

void simplify(const Indices &indices, const std::vector<Vertex> &vertices) {
    const float *positions = vertices[0].position;
    for (float part : {0.5f, 0.2f, 0.05f}) {
        Indices less(indices.size());
        float error = 0, sloppy_error = 0;
        size_t target = size_t(float(indices.size()) * part);
        less.resize(meshopt_simplify(less.data(), indices.data(), indices.size(), positions, vertices.size(), sizeof(Vertex),
                                     target, 0.1f, meshopt_SimplifyLockBorder, &error));
        show("simplified", less);
        Indices sloppy(indices.size());
        sloppy.resize(meshopt_simplifySloppy(sloppy.data(), indices.data(), indices.size(), positions, vertices.size(),
                                             sizeof(Vertex), nullptr, target, 0.5f, &sloppy_error));
        show("sloppy", sloppy);
        printf("errors %.6f %.6f\n", double(error), double(sloppy_error));
    }
    float weights[3] = {0.5f, 0.5f, 0.5f};
    Indices less(indices.size());
    less.resize(meshopt_simplifyWithAttributes(less.data(), indices.data(), indices.size(), positions, vertices.size(),
                                               sizeof(Vertex), vertices[0].normal, sizeof(Vertex), weights, 3, nullptr,
                                               indices.size() / 6, 0.2f, 0, nullptr));
    show("with attributes", less);
}

void meshlets(const Indices &indices, const std::vector<Vertex> &vertices) {
    const size_t most_vertices = 64, most_triangles = 124;
    size_t bound = meshopt_buildMeshletsBound(indices.size(), most_vertices, most_triangles);
    std::vector<meshopt_Meshlet> lets(bound);
    Indices let_vertices(bound * most_vertices);
    std::vector<unsigned char> triangles(bound * most_triangles * 3);
    lets.resize(meshopt_buildMeshlets(lets.data(), let_vertices.data(), triangles.data(), indices.data(), indices.size(),
                                      vertices[0].position, vertices.size(), sizeof(Vertex), most_vertices, most_triangles,
                                      0.25f));
    double radius = 0;
    for (const auto &let : lets) {
        meshopt_optimizeMeshlet(&let_vertices[let.vertex_offset], &triangles[let.triangle_offset], let.triangle_count,
                                let.vertex_count);
        radius += double(meshopt_computeMeshletBounds(&let_vertices[let.vertex_offset], &triangles[let.triangle_offset],
                                                      let.triangle_count, vertices[0].position, vertices.size(),
                                                      sizeof(Vertex)).radius);
    }
    show("meshlets", lets);
    printf("radius %.5f\n", radius);
}

void codecs(const Indices &indices, const std::vector<Vertex> &vertices) {
    std::vector<unsigned char> packed(meshopt_encodeIndexBufferBound(indices.size(), vertices.size()));
    packed.resize(meshopt_encodeIndexBuffer(packed.data(), packed.size(), indices.data(), indices.size()));
    show("index codec", packed);
    Indices back(indices.size());
    require(meshopt_decodeIndexBuffer(back.data(), back.size(), 4, packed.data(), packed.size()) == 0, "indices");
    show("indices back", back);
    for (int level = 0; level <= 3; level++) {
        std::vector<unsigned char> bytes(meshopt_encodeVertexBufferBound(vertices.size(), sizeof(Vertex)));
        bytes.resize(meshopt_encodeVertexBufferLevel(bytes.data(), bytes.size(), vertices.data(), vertices.size(),
                                                     sizeof(Vertex), level, 1));
        show("vertex codec", bytes);
        std::vector<Vertex> again(vertices.size());
        require(meshopt_decodeVertexBuffer(again.data(), again.size(), sizeof(Vertex), bytes.data(), bytes.size()) == 0, "vertices");
        require(memcmp(again.data(), vertices.data(), vertices.size() * sizeof(Vertex)) == 0, "vertex round trip");
        bytes.resize(bytes.size() / 2);
        printf("half: %d\n", meshopt_decodeVertexBuffer(again.data(), again.size(), sizeof(Vertex), bytes.data(), bytes.size()) != 0);
    }
    std::vector<float> normals;
    for (const auto &vertex : vertices) normals.insert(normals.end(), {vertex.normal[0], vertex.normal[1], vertex.normal[2], 0});
    std::vector<short> octahedral(normals.size()), exponents(normals.size() * 2);
    meshopt_encodeFilterOct(octahedral.data(), vertices.size(), 8, 12, normals.data());
    meshopt_decodeFilterOct(octahedral.data(), vertices.size(), 8);
    show("octahedral", octahedral);
    meshopt_encodeFilterExp(exponents.data(), vertices.size(), 16, 15, normals.data(), meshopt_EncodeExpSharedVector);
    meshopt_decodeFilterExp(exponents.data(), vertices.size(), 16);
    show("exponents", exponents);
}

} // namespace

int main() {
    std::vector<Vertex> soup = torus(80, 60);
    Indices remap(soup.size()), indices(soup.size());
    size_t count = meshopt_generateVertexRemap(remap.data(), nullptr, soup.size(), soup.data(), soup.size(), sizeof(Vertex));
    std::vector<Vertex> vertices(count);
    meshopt_remapIndexBuffer(indices.data(), nullptr, soup.size(), remap.data());
    meshopt_remapVertexBuffer(vertices.data(), soup.data(), soup.size(), sizeof(Vertex), remap.data());
    printf("meshoptimizer %d: %zu vertices, %zu indices\n", MESHOPTIMIZER_VERSION, vertices.size(), indices.size());
    meshopt_spatialSortTriangles(indices.data(), indices.data(), indices.size(), vertices[0].position, count, sizeof(Vertex));
    show("spatial", indices);
    meshopt_optimizeVertexCache(indices.data(), indices.data(), indices.size(), count);
    show("cache", indices);
    meshopt_optimizeOverdraw(indices.data(), indices.data(), indices.size(), vertices[0].position, count, sizeof(Vertex), 1.05f);
    meshopt_optimizeVertexFetch(vertices.data(), indices.data(), indices.size(), vertices.data(), count, sizeof(Vertex));
    show("fetch", vertices);
    meshopt_VertexCacheStatistics cache = meshopt_analyzeVertexCache(indices.data(), indices.size(), count, 16, 0, 0);
    meshopt_OverdrawStatistics overdraw =
        meshopt_analyzeOverdraw(indices.data(), indices.size(), vertices[0].position, count, sizeof(Vertex));
    printf("acmr %.5f, overdraw %.5f\n", double(cache.acmr), double(overdraw.overdraw));
    Indices strip(meshopt_stripifyBound(indices.size()));
    strip.resize(meshopt_stripify(strip.data(), indices.data(), indices.size(), count, ~0u));
    show("strip", strip);
    simplify(indices, vertices);
    meshlets(indices, vertices);
    codecs(indices, vertices);
    return 0;
}
