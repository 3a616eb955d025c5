//! Smooth displacements (Ronneberger et al. 2015, section 3.1).

use crate::experiment::Elastic;
use tch::{Device, Kind, Tensor};

impl Elastic {
    /// Normal numbers that decide what becomes of one image: a way to the right and one downwards for each point of the grid.
    pub fn numbers(&self) -> i64 {
        2 * self.grid * self.grid
    }

    /// Displacements at the points of the grid, in coordinates that run from -1 to 1 over the side, decided by `normals` `[n, 2 grid grid]`:
    /// `[n, 2, grid grid]`.
    pub fn displacements(&self, normals: &Tensor) -> Tensor {
        (normals * (2.0 * self.strength)).view([-1, 2, self.grid * self.grid])
    }
}

/// The share that each of `points`, a grid of as many rows as columns from edge to edge, has in what bicubic interpolation finds at each
/// pixel: `[points, height * width]`. The outermost points lie on the middles of the outermost pixels.
pub fn shares(points: i64, [height, width]: [i64; 2], options: (Kind, Device)) -> Tensor {
    let grid = points.isqrt();
    // Interpolation is linear: what it makes of points that are 1 at one place and 0 elsewhere says all about that place. It is that along
    // the columns times that along the rows.
    let alone = Tensor::eye(grid, options);
    let down = alone.view([1, grid, grid, 1]).upsample_bicubic2d([height, 1], true, None, None).view([grid, 1, height, 1]);
    let across = alone.view([1, grid, 1, grid]).upsample_bicubic2d([1, width], true, None, None).view([1, grid, 1, width]);
    (down * across).view([points, -1])
}

#[cfg(test)]
mod tests {
    use super::super::tests::{normal, random, resample};
    use super::*;

    const OPTIONS: (Kind, Device) = (Kind::Double, Device::Cpu);

    /// `images` under no matrix and these `displacements` `[n, 2, points]`.
    fn displaced(images: &Tensor, displacements: &Tensor) -> Tensor {
        let unmoved = Tensor::eye(3, OPTIONS).narrow(0, 0, 2).expand([images.size()[0], 2, 3], false);
        resample(images, &Tensor::cat(&[&unmoved, displacements], 2))
    }

    #[test]
    fn the_same_displacement_at_all_points_is_a_shift() {
        let images = random(&[2, 2, 8, 8], OPTIONS.0);
        // A quarter of the side from the right, an eighth from above.
        let elastic = Elastic { grid: 3, strength: 0.125 };
        let normals = Tensor::from_slice(&[2.0, -1.0]).view([1, 2, 1]).expand([2, 2, 9], false).reshape([2, elastic.numbers()]);
        let expected = images.narrow(3, 2, 6).narrow(2, 0, 7).constant_pad_nd([0, 2, 1, 0]);
        assert!(displaced(&images, &elastic.displacements(&normals)).allclose(&expected, 1e-9, 1e-9, false));
    }

    #[test]
    fn between_the_points_displacements_are_bicubic() {
        let (images, grids) = (random(&[3, 1, 28, 28], OPTIONS.0), normal(&[3, 2, 5, 5], OPTIONS.0) * 0.06);
        let middles = (Tensor::arange(28, OPTIONS) * 2.0 + 1.0) / 28.0 - 1.0;
        let plain = Tensor::stack(&[middles.view([1, -1]).expand([28, 28], false), middles.view([-1, 1]).expand([28, 28], false)], 0);
        let places = plain + grids.upsample_bicubic2d([28, 28], true, None, None);
        let expected = images.grid_sampler(&places.permute([0, 2, 3, 1]), 0, 0, false);
        let found = displaced(&images, &grids.view([3, 2, 25]));
        assert!(found.allclose(&expected, 1e-9, 1e-9, false) && !found.allclose(&images, 0.1, 0.1, false));
    }

    #[test]
    fn the_corners_of_the_grid_are_the_outermost_pixels_and_shares_sum_to_one() {
        let shares = shares(16, [6, 9], OPTIONS);
        assert!((shares.sum_dim_intlist(0, false, Kind::Double) - 1.0).abs().max().double_value(&[]) < 1e-9);
        for (point, pixel) in [(0, 0), (3, 8), (12, 45), (15, 53)] {
            assert!((shares.double_value(&[point, pixel]) - 1.0).abs() < 1e-9, "point {point}");
        }
    }

    #[test]
    fn displacements_have_the_deviation_asked_for() {
        let elastic = Elastic { grid: 5, strength: 0.03 };
        let drawn = elastic.displacements(&normal(&[4_000, elastic.numbers()], OPTIONS.0));
        // A share of the side is 2 in coordinates; the standard errors of 200,000 are 0.00013 and 0.0001.
        assert!(drawn.mean(Kind::Double).double_value(&[]).abs() < 0.0007);
        assert!((drawn.std(true).double_value(&[]) - 0.06).abs() < 0.0005);
    }
}
